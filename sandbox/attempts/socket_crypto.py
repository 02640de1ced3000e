# tries: opens a socket to the kernel's ciphers (AF_ALG)
# expect: finished|raised|killed

import socket

try:
    socket.socket(38, socket.SOCK_SEQPACKET)
except OSError:
    breached = False
else:
    breached = True
