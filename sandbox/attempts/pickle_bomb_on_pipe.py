# tries: writes a pickle that runs code in whoever loads it
# expect: bad_value

import os

for number in range(3, 64):
    try:
        os.write(number, b"cos\nsystem\n(S'touch /tmp/planted'\ntR.")
    except OSError:
        pass
os._exit(0)
