# tries: leaves folders nested so deep that cleaning up by recursion fails
# expect: finished|raised
# limits: wall_s=5

import os

for _ in range(3000):
    os.mkdir("d")
    os.chdir("d")
breached = False
