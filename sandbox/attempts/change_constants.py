# tries: changes small integers and texts in the interpreter's own memory
# expect: finished|killed|raised|bad_value

import ctypes

breached = False
address = id(7) + 24
ctypes.memmove(address, (ctypes.c_uint32 * 1)(8), 4)
