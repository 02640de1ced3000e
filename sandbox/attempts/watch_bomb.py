# tries: takes every file watch that a user may have (inotify)
# expect: finished|raised|killed

import ctypes

libc = ctypes.CDLL(None)
for _ in range(600):
    instance = libc.inotify_init()
    if instance < 0:
        break
    for path in (b"/", b"/usr", b"/usr/bin", b"/dev", b"."):
        libc.inotify_add_watch(instance, path, 0x8)
breached = False
