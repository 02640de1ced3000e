# tries: registers handlers that run in whatever is forked later
# expect: finished|raised|killed

import atexit
import os
import threading

os.register_at_fork(before=os.abort, after_in_child=os.abort)
atexit.register(os.abort)
threading.excepthook = None
breached = False
