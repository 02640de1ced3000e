# tries: connects by the sixth version of the internet protocol
# expect: raised

import socket

try:
    socket.create_connection(("::1", port), 1)
except ConnectionRefusedError:
    print("loopback answers")
    breached = True
else:
    breached = True
