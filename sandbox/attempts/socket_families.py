# tries: opens a socket of each family that a program never needs
# expect: finished|raised|killed

import socket

opened = []
for family in (*range(3, 10), *range(11, 16), *range(18, 38), 39, *range(41, 46)):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        try:
            socket.socket(family, kind).close()
        except OSError:
            continue
        opened.append(family)
print(opened)
breached = bool(opened)
