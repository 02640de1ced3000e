# tries: spreads memory over processes, each below the limit
# expect: memory
# limits: memory_mb=128,wall_s=20
# needs: rlimits|watch|cgroup

import os
import time

told, tell = os.pipe()
for _ in range(8):
    if os.fork() == 0:
        taken = bytearray(60 * 2**20)
        for at in range(0, len(taken), 4096):
            taken[at] = 1
        os.write(tell, b"x")
        time.sleep(3600)
for _ in range(8):
    os.read(told, 1)
time.sleep(1)
breached = True
