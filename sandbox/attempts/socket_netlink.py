# tries: opens a netlink socket, a way into much kernel code
# expect: finished|raised|killed

import socket

try:
    socket.socket(16, socket.SOCK_RAW)
except OSError:
    breached = False
else:
    breached = True
