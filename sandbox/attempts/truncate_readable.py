# tries: empties a file of the host that it can name
# expect: finished|raised|killed

import os

breached = False
for act in (lambda p: os.truncate(p, 0), lambda p: os.open(p, os.O_RDONLY | os.O_TRUNC)):
    try:
        act(host_folder + "/precious")
        breached = True
    except OSError:
        pass
