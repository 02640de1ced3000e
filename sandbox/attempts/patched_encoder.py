# tries: patches the interpreter's own parts with which its result is written
# expect: finished|bad_value|killed|missing_output|raised

import os
import struct

real = os.write
os.write = lambda descriptor, data: real(descriptor, b"forged") and len(data)
struct.pack = lambda *_: b"forged"
breached = False
