# tries: leaves System V shared memory for the next program
# expect: finished

import ctypes

ctypes.CDLL(None).shmget(0x1234, 4096, 0o1666)
breached = False
