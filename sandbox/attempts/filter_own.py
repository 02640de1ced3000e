# tries: puts a filter of its own that answers every system call with success
# expect: finished|raised|killed|bad_value|timeout|missing_output
# endless: yes
# limits: wall_s=2

import ctypes


class Step(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32)]


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("steps", ctypes.c_void_p)]


breached = False
step = (Step * 1)(Step(6, 0, 0, 0x00050000))
ctypes.CDLL(None).prctl(22, 2, ctypes.byref(Program(1, ctypes.addressof(step))), 0, 0)
