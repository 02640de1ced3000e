# tries: leaves files where the next program might find them
# expect: finished

import os

for folder in (".", "/tmp", "/dev/shm", "/var/tmp"):
    try:
        open(os.path.join(folder, "planted"), "w").write("1")
    except OSError:
        pass
breached = False
