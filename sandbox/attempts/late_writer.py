# tries: lets a child write into its result after it has ended
# expect: finished|bad_value
# limits: wall_s=4

import os
import time

if os.fork() == 0:
    ends = time.monotonic() + 2
    while time.monotonic() < ends:
        for number in range(3, 64):
            try:
                os.write(number, b"forged")
            except OSError:
                pass
    os._exit(0)
breached = False
