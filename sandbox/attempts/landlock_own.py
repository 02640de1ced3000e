# tries: puts a wider rule over the rules that it is under
# expect: finished|raised|killed

import ctypes
import os

libc = ctypes.CDLL(None)

rights = (ctypes.c_uint64 * 1)(0x1FFF)
rules = libc.syscall(444, rights, 8, 0)
if rules >= 0:
    root = os.open("/", os.O_PATH)
    rule = (ctypes.c_char * 12)()
    ctypes.memmove(rule, (ctypes.c_uint64 * 1)(0x1FFF), 8)
    ctypes.memmove(ctypes.addressof(rule) + 8, (ctypes.c_int32 * 1)(root), 4)
    libc.syscall(445, rules, 1, rule, 0)
    libc.syscall(446, rules, 0)
try:
    open(host_folder + "/precious").close()
except OSError:
    breached = False
else:
    breached = True
