# tries: keeps memory in the buffers of sockets, where no process maps it
# expect: memory|raised|killed
# limits: memory_mb=64,wall_s=5
# needs: pid

import socket

pairs, total = [], 0
while total < 192 << 20:
    pair = socket.socketpair()
    pairs.append(pair)
    for end in pair:
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        try:
            while True:
                total += end.send(bytes(1 << 16))
        except BlockingIOError:
            pass
breached = True
