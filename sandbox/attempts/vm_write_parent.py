# tries: writes into the memory of the process that forked it (process_vm_writev)
# expect: finished|raised|killed

import ctypes
import os


class Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


libc = ctypes.CDLL(None)
libc.process_vm_writev.restype = ctypes.c_ssize_t
here = ctypes.create_string_buffer(8)
address = id(None)  # the same in every fork of one interpreter
mine, theirs = Piece(ctypes.addressof(here), 8), Piece(address, 8)
ctypes.memmove(here, address, 8)  # what is there already, so that a success is seen and does no harm
breached = any(
    libc.process_vm_writev(pid, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0) > 0 for pid in (os.getppid(), 1, host_pid) if pid
)
