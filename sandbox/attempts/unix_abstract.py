# tries: connects to an abstract unix socket of the host
# expect: raised

import socket

socket.socket(socket.AF_UNIX).connect("\0" + unix_abstract)
breached = True
