# tries: prints without end to the error stream, from a child
# expect: output
# limits: wall_s=10,output_kb=64

import os
import time

if os.fork() == 0:
    while True:
        os.write(2, b"x" * 65536)
time.sleep(60)
