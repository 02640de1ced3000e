# tries: says itself which users of the host it may become
# expect: finished|raised|killed

import os

breached = False
for name in ("uid_map", "gid_map", "setgroups"):
    try:
        with open(f"/proc/self/{name}", "w") as file:
            file.write("0 0 1" if name != "setgroups" else "allow")
        breached = True
    except OSError:
        pass
