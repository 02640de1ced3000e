# tries: sends an array of impossible size
# expect: bad_value

import os

for number in range(3, 64):
    try:
        os.write(number, b"a\x03<f8\x01" + b"\xff" * 8)
    except OSError:
        pass
os._exit(0)
