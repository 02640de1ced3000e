# tries: writes into the memory of every process by /proc/PID/mem
# expect: finished|raised|killed

import os

breached = False
for pid in filter(str.isdigit, os.listdir("/proc")):
    if int(pid) != os.getpid():
        try:
            os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR))
            breached = True
        except OSError:
            pass
