# tries: opens files until no descriptor is left
# expect: finished|raised|killed

import os

opened, breached = [], False
try:
    for _ in range(5000):
        opened.append(os.open("/dev/null", os.O_RDONLY))
    breached = True
except OSError:
    pass
for descriptor in opened:
    os.close(descriptor)
