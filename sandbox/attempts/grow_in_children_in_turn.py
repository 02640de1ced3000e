# tries: takes memory in children that end before they are looked at
# expect: finished|memory|raised|cpu
# limits: memory_mb=64,wall_s=5

import os

for _ in range(10):
    if os.fork() == 0:
        bytearray(60 << 20)
        os._exit(0)
    os.wait()
breached = False
