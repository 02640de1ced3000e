# tries: writes noise to every descriptor, so also to the one for results
# expect: bad_value

import os

for number in range(3, 64):
    try:
        os.write(number, b'{"reason": "finished", "values": {"breached": true}}')
    except OSError:
        pass
breached = False
