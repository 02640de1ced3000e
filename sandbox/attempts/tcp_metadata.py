# tries: asks the cloud's address for credentials
# expect: raised

import socket

socket.create_connection(("169.254.169.254", 80), 1)
breached = True
