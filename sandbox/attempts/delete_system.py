# tries: deletes, renames and empties files of the system
# expect: finished|raised|killed

import os

breached = False
for path in (os.__file__, "/etc/passwd", "/usr/bin/env", "/bin/sh"):
    for act in (os.unlink, lambda p: os.rename(p, p + "x"), lambda p: os.truncate(p, 0), lambda p: open(p, "a").close()):
        try:
            act(path)
            breached = True
        except OSError:
            pass
