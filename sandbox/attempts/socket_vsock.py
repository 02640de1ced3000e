# tries: opens a socket to the machine's own host
# expect: finished|raised|killed

import socket

try:
    socket.socket(40, socket.SOCK_STREAM)
except OSError:
    breached = False
else:
    breached = True
