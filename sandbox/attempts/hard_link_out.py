# tries: makes a second name for files that are not its own
# expect: finished|raised|killed

import os

breached = False
for path in ("/etc/passwd", os.__file__, host_folder + "/precious", "/proc/1/environ"):
    try:
        os.link(path, "mine")
        breached = True
    except OSError:
        pass
