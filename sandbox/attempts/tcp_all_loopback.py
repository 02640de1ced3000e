# tries: connects to the host's server by other names of the same machine
# expect: finished|raised|killed
# limits: wall_s=4

import socket

breached = False
for address in ("127.0.0.1", "127.1.2.3", "0.0.0.0", "localhost"):
    try:
        socket.create_connection((address, port), 0.5)
        breached = True
    except OSError:
        pass
