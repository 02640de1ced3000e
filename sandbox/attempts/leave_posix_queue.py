# tries: leaves a message queue for the next program
# expect: finished|raised|killed

import ctypes
import os

libc = ctypes.CDLL(None)
queue = libc.mq_open(b"/planted", os.O_CREAT | os.O_RDWR, 0o666, None)
if queue >= 0:
    libc.mq_send(queue, b"secret", 6, 0)
breached = False
