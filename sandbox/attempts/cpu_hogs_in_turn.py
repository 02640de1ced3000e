# tries: uses the processor in children that each end below the limit
# expect: cpu|timeout
# endless: yes
# limits: wall_s=6,cpu_s=1

import os
import time

while True:
    if os.fork() == 0:
        ends = time.process_time() + 0.3
        while time.process_time() < ends:
            pass
        os._exit(0)
    os.wait()
