# tries: forks for ever
# expect: processes|raised|timeout|memory
# endless: yes
# limits: wall_s=3,processes=16
# needs: pid rlimits

import os

while True:
    try:
        os.fork()
    except OSError:
        pass
