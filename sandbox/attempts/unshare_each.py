# tries: leaves its namespaces of each kind
# expect: finished|raised|killed

import ctypes
import os

libc = ctypes.CDLL(None)

kinds = (0x10000000, 0x00020000, 0x20000000, 0x40000000, 0x08000000, 0x04000000, 0x02000000, 0x00000080)
breached = any(libc.unshare(kind) == 0 for kind in kinds)
