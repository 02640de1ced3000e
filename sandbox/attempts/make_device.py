# tries: makes device files: the disk and the memory
# expect: finished|raised|killed

import os
import stat

breached = False
for name, kind, number in (("disk", stat.S_IFBLK, (8, 0)), ("disk2", stat.S_IFBLK, (254, 0)), ("memory", stat.S_IFCHR, (1, 1))):
    try:
        os.mknod(name, kind | 0o666, os.makedev(*number))
        os.open(name, os.O_RDONLY)
        breached = True
    except OSError:
        pass
