# tries: writes a result without end
# expect: bad_value
# limits: wall_s=30

import os

while True:
    for number in range(3, 64):
        try:
            os.write(number, bytes(1 << 20))
        except OSError:
            pass
