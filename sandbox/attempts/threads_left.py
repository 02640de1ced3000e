# tries: ends while a thread of its own still runs
# expect: finished|timeout|missing_output
# limits: wall_s=2

import threading
import time

threading.Thread(target=time.sleep, args=(30,)).start()
breached = False
