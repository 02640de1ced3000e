# tries: leaves a server on an abstract socket for the next program
# expect: finished|raised|killed

import os
import socket
import time

server = socket.socket(socket.AF_UNIX)
try:
    server.bind("\0planted")
    server.listen()
except OSError:
    pass
if os.fork() == 0:
    os.setsid()
    time.sleep(3600)
breached = False
