# tries: looks for a folder outside its own that it may write to
# expect: finished|raised|killed

import os

home, breached = os.stat(".").st_dev, False
for top in ("/", "/etc", "/var", "/opt", "/srv", "/run", "/usr", "/dev", "/mnt", "/media", "/home", "/root", "/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue"):
    path = os.path.join(top, "planted-outside")
    try:
        open(path, "w").close()
        outside = os.stat(path).st_dev != home
        os.unlink(path)
    except OSError:
        continue
    print(top) if outside else None
    breached |= outside
