# tries: keeps every processor busy in eight processes
# expect: cpu|timeout
# endless: yes
# limits: wall_s=3,cpu_s=1

import os

for _ in range(7):
    if os.fork() == 0:
        break
while True:
    pass
