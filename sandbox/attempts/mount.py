# tries: mounts a file system
# expect: finished

import ctypes

breached = ctypes.CDLL(None).mount(b"tmpfs", b"/box", b"tmpfs", 0, None) == 0
