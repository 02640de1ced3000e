# tries: changes its inputs for the next program that is given the same ones
# expect: finished|raised|killed

shared.clear()
shared.append("planted")
if array is not None:
    try:
        array.setflags(write=True)
        array[:] = 42.0
    except ValueError:
        pass
import ctypes
import re

text = open("/proc/self/maps").read()
breached = False
for start, end, mode, _ in re.findall(r"([0-9a-f]+)-([0-9a-f]+) (\S+) .*(memfd)", text):
    size = int(end, 16) - int(start, 16)
    if "w" in mode:
        ctypes.memset(int(start, 16), 0, size)
