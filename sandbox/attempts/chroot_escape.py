# tries: leaves its root folder by a second one inside
# expect: finished|raised|killed

import os

breached = False
os.mkdir("inner")
above = os.open(".", os.O_RDONLY)
try:
    os.chroot("inner")
    os.fchdir(above)
    for _ in range(64):
        os.chdir("..")
    os.chroot(".")
    breached = True
except OSError:
    pass
