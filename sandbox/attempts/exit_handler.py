# tries: runs code when the interpreter ends, or when its objects go
# expect: finished
# limits: wall_s=10

import atexit
import time


class Late:
    def __del__(self):
        time.sleep(60)


late = Late()
atexit.register(time.sleep, 60)
breached = False
