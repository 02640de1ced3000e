# tries: connects by sending (MSG_FASTOPEN), which a rule for connect may miss
# expect: finished|raised|killed

import socket

breached = False
try:
    socket.socket().sendto(b"x", 0x20000000, ("127.0.0.1", port))
    breached = True
except OSError:
    pass
