# tries: reads the environment of every process that it can see
# expect: finished|raised

import os

breached = False
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        breached |= canary[::-1].encode() in open(f"/proc/{pid}/environ", "rb").read()
    except OSError:
        pass
