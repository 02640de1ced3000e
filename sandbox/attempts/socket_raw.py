# tries: opens a raw socket of the internet protocol
# expect: finished|raised|killed

import socket

breached = False
for protocol in (socket.IPPROTO_ICMP, socket.IPPROTO_RAW):
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
    except OSError:
        continue
    breached = True
