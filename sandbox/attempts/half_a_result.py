# tries: starts a result and falls silent
# expect: bad_value

import os

for number in range(3, 64):
    try:
        os.write(number, b"m\x03\x00\x00\x00s\xff\xff\xff\xff")
    except OSError:
        pass
os._exit(0)
