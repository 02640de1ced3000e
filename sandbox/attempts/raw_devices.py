# tries: reads disks, terminals and consoles
# expect: finished|raised|killed

import os

breached = False
for name in ("sda", "vda", "nvme0n1", "loop0", "loop-control", "console", "tty", "tty0", "tty1", "ptmx", "fuse", "kvm", "net/tun", "vhost-net", "nvidia0", "dri/card0", "snd/timer", "uinput", "input/event0", "hwrng", "rtc0"):
    try:
        os.close(os.open(f"/dev/{name}", os.O_RDONLY | os.O_NONBLOCK))
    except OSError:
        continue
    print(name)
    breached = True
