# tries: writes into the memory files that its task and inputs came in
# expect: finished|raised|killed

import os

breached = False
for line in open("/proc/self/maps"):
    if "memfd:" in line:
        span = line.split()[0]
        try:
            descriptor = os.open(f"/proc/self/map_files/{span}", os.O_RDWR)
            os.pwrite(descriptor, b"planted", 0)
            breached = True
        except OSError:
            pass
