# tries: fills files in memory that no process maps
# expect: memory|raised|killed
# limits: memory_mb=128,wall_s=5
# needs: pid

import os

total = 0
while total < 256 << 20:
    descriptor = os.memfd_create("planted")
    for _ in range(8):
        total += os.write(descriptor, bytes(1 << 20))
breached = True
