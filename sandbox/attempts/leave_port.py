# tries: leaves a server on a port for the next program
# expect: finished|raised|killed

import os
import socket
import time

try:
    server = socket.create_server(("127.0.0.1", 8123))
except OSError:
    pass
if os.fork() == 0:
    os.setsid()
    time.sleep(3600)
breached = False
