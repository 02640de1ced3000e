# tries: reads the kernel's log
# expect: finished|raised|killed

import ctypes

breached = ctypes.CDLL(None).klogctl(3, ctypes.create_string_buffer(4096), 4096) > 0
for path in ("/dev/kmsg", "/proc/kmsg"):
    try:
        open(path, "rb").close()
    except OSError:
        continue
    breached = True
