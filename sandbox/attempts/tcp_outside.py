# tries: connects to an address outside
# expect: raised

import socket

socket.create_connection(("1.1.1.1", 80), 1)
breached = True
