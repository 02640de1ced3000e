# tries: locks files that every program reads, and leaves without unlocking
# expect: finished|raised|killed

import fcntl
import json
import os
import time

kept = []
for path in (os.__file__, json.__file__, "/usr/bin/env", "/dev/null"):
    try:
        kept.append(open(path, "rb"))
        fcntl.flock(kept[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pass
if os.fork() == 0:
    time.sleep(3600)
breached = False
