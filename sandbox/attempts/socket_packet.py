# tries: opens a socket for raw network packets
# expect: finished|raised|killed

import socket

try:
    socket.socket(17, socket.SOCK_RAW)
except OSError:
    breached = False
else:
    breached = True
