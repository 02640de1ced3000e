# tries: swaps a folder for a link while it is used, to be led outside
# expect: finished|raised|killed|timeout

import os
import threading
import time

os.mkdir("real")
open("real/precious", "w").close()
os.symlink(host_folder, "link")
ends, breached = time.monotonic() + 0.5, False


def swap():
    while time.monotonic() < ends:
        os.rename("real", "place")
        os.rename("place", "real")


thread = threading.Thread(target=swap)
thread.start()
while time.monotonic() < ends:
    for name in ("real", "place", "link"):
        try:
            breached |= open(f"{name}/precious").read() != ""
        except OSError:
            pass
thread.join()
