# tries: enters the namespaces of process 1 and of its parent
# expect: finished|raised|killed

import ctypes
import os

libc = ctypes.CDLL(None)

breached = False
own = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in os.listdir("/proc/self/ns")}
for pid in (1, os.getppid(), host_pid):
    for kind in own:
        try:
            path = f"/proc/{pid}/ns/{kind}"
            descriptor = os.open(path, os.O_RDONLY)
            breached |= libc.setns(descriptor, 0) == 0 and os.readlink(path) != own[kind]
        except OSError:
            pass
