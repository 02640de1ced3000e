# tries: looks for descriptors that the host left open
# expect: finished

import os

links = {}
for number in range(3, 1024):
    try:
        links[number] = os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        pass
links = {n: l for n, l in links.items() if not l.startswith("/proc")}
# its own result pipe, and its own task and inputs in sealed memory files
breached = len(links) > 3 or any(not link.startswith(("pipe:", "/memfd:task")) for link in links.values())
