# tries: keeps memory in the buffers of pipes
# expect: memory|raised|killed
# limits: memory_mb=64,wall_s=5
# needs: pid

import fcntl
import os

pipes, total = [], 0
while total < 192 << 20:
    read, write = os.pipe()
    pipes.append((read, write))
    os.set_blocking(write, False)
    try:
        fcntl.fcntl(write, 1031, 1 << 20)
    except OSError:
        pass
    try:
        while True:
            total += os.write(write, bytes(1 << 16))
    except BlockingIOError:
        pass
breached = True
