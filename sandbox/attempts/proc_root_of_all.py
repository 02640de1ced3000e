# tries: goes out through /proc/PID/root, cwd and fd of every process
# expect: finished|raised|killed

import os

breached = False
for pid in filter(str.isdigit, os.listdir("/proc")):
    for link in ("root", "cwd"):
        breached |= os.path.exists(f"/proc/{pid}/{link}{host_folder}/precious")
    if int(pid) != os.getpid():
        try:
            breached |= bool(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            pass
