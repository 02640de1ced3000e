# tries: leaves a key in its user's keyring for the next program
# expect: finished|raised|killed

import ctypes
import os

libc = ctypes.CDLL(None)

number = 248 if os.uname().machine == "x86_64" else 217
libc.syscall(number, b"user", b"planted-user", b"secret", 6, -4)
breached = False
