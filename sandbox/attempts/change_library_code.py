# tries: writes into the code of the C library that all processes share
# expect: finished|killed|raised

import ctypes

libc = ctypes.CDLL(None)
function = ctypes.cast(libc.labs, ctypes.c_void_p).value
page = function & ~4095
breached = False
if libc.mprotect(ctypes.c_void_p(page), 8192, 7) == 0:
    ctypes.memmove(function, b"\xb8\x2a\x00\x00\x00\xc3" if ctypes.sizeof(ctypes.c_void_p) == 8 else b"", 6)
