# tries: uses the processor in children only
# expect: cpu|timeout
# endless: yes
# limits: wall_s=8,cpu_s=1

import os

for _ in range(3):
    if os.fork() == 0:
        while True:
            pass
os.wait()
