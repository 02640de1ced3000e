# tries: gives a copy of a program rights by its attributes
# expect: finished|raised|killed

import os

open("copy", "wb").close()
breached = False
try:
    os.setxattr("copy", "security.capability", bytes.fromhex("01000002ffffffff00000000ffffffff00000000"))
    breached = True
except OSError:
    pass
