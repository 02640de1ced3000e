# tries: sleeps past the wall limit without using the processor
# expect: timeout
# endless: yes
# limits: wall_s=1

import time

time.sleep(3600)
