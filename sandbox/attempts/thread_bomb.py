# tries: starts threads for ever
# expect: processes|raised
# limits: wall_s=5,processes=32
# needs: pid rlimits

import threading
import time

while True:
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
