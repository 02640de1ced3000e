# tries: leaves children that nobody collects
# expect: finished|processes|raised
# limits: processes=16

import os

for _ in range(12):
    if os.fork() == 0:
        os._exit(0)
breached = False
