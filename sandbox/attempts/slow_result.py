# tries: sends its result one byte at a time
# expect: timeout|bad_value|killed
# endless: yes
# limits: wall_s=1

import os
import time

while True:
    for number in range(3, 8):
        try:
            os.write(number, b"m")
        except OSError:
            pass
    time.sleep(0.02)
