# tries: connects to a unix socket of the host by its path
# expect: raised

import socket

socket.socket(socket.AF_UNIX).connect(unix_path)
breached = True
