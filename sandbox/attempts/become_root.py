# tries: asks to be root, or any other user or group
# expect: finished|raised|killed

import os

breached = False
for number in (0, 1, 65534 if os.getuid() != 65534 else 1000):
    for change in (os.setuid, os.seteuid, os.setgid, os.setegid, lambda n: os.setgroups([n])):
        try:
            change(number)
            breached = True
        except OSError:
            pass
