# tries: leaves System V message queues and semaphores for the next program
# expect: finished|raised|killed

import ctypes

libc = ctypes.CDLL(None)
libc.msgget(0x1234, 0o1666)
libc.semget(0x1234, 1, 0o1666)
breached = False
