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
# its own result pipe, and its own inputs in a sealed memory file
breached = len(links) > 2 or any(not link.startswith(("pipe:", "/memfd:task")) for link in links.values())
