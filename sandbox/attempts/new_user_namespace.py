# tries: makes a user namespace, in which it would be root
# expect: finished

import ctypes

breached = ctypes.CDLL(None).unshare(0x10000000) == 0
