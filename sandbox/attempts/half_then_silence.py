# tries: sends half a result, then neither ends nor goes on
# expect: timeout|bad_value
# endless: yes
# limits: wall_s=1

import os
import time

for number in range(3, 64):
    try:
        os.write(number, b"m\x03\x00\x00\x00s\x06")
    except OSError:
        pass
time.sleep(60)
