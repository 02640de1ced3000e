# tries: listens where the host might connect
# expect: finished|raised|killed

import socket

breached = False
for address in ("0.0.0.0", "::"):
    server = None
    try:
        server = socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        probe = socket.create_connection((("::1" if ":" in address else "127.0.0.1"), server.getsockname()[1]), 0.3)
        breached = True
    except OSError:
        pass
