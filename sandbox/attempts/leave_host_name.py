# tries: leaves a message in the machine's name
# expect: finished|raised|killed

import socket

breached = False
try:
    socket.sethostname("planted")
    breached = True
except OSError:
    pass
