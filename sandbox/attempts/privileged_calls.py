# tries: makes system calls that only root may make, with arguments that do no harm
# expect: finished|raised|killed

import ctypes
import os

libc = ctypes.CDLL(None)

x86 = os.uname().machine == "x86_64"
numbers = {
    "init_module": (175, 105),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "fanotify_init": (300, 262),
}
done = [name for name, pair in numbers.items() if libc.syscall(pair[0] if x86 else pair[1], 0, 0, 0, 0) >= 0]
print(done)
breached = bool(done)
