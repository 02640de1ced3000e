# tries: connects to a server of the host on 127.0.0.1
# expect: raised

import socket

socket.create_connection(("127.0.0.1", port), 1)
breached = True
