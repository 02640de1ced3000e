# tries: uses the system calls of 32-bit programs, which a filter may forget
# expect: finished|raised|killed

import ctypes
import mmap
import os

breached = False
if os.uname().machine == "x86_64":
    breached = ctypes.CDLL(None).syscall(0x40000000 | 39) > 0  # getpid of the x32 set
    # keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1) by int 0x80; no argument is an address
    code = bytes.fromhex("53b82001000031dbb9fcffffffba01000000cd805bc3")
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    breached |= ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))() > 0
