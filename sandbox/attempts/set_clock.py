# tries: sets the machine's clock (to what it shows already)
# expect: finished|raised|killed

import time

breached = False
try:
    time.clock_settime(time.CLOCK_REALTIME, time.time())
    breached = True
except OSError:
    pass
