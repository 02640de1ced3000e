# tries: opens its descriptors a second time, and writes into what it was given to read
# expect: finished|raised|killed|bad_value

import os

breached = False
for number in range(64):
    try:
        link = os.readlink(f"/proc/self/fd/{number}")
        again = os.open(f"/dev/fd/{number}", os.O_RDWR | os.O_NONBLOCK)
    except OSError:
        continue
    if not link.startswith(("pipe:", "/dev/null", "/proc")):
        try:
            breached |= os.pwrite(again, b"planted", 0) > 0
        except OSError:
            pass
