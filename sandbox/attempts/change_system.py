# tries: changes modes, owners, times and attributes of files of the system
# expect: finished|raised|killed

import os

breached = False
for path in (os.__file__, "/etc/passwd", "/usr/bin", "/"):
    mode = os.stat(path).st_mode & 0o7777
    for act in (
        lambda p: os.chmod(p, mode),
        lambda p: os.chown(p, os.getuid(), os.getgid()),
        lambda p: os.utime(p, None),
        lambda p: os.setxattr(p, "user.planted", b"1"),
    ):
        try:
            act(path)
            print(path)
            breached = True
        except OSError:
            pass
