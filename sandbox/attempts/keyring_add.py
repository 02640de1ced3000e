# tries: puts a key into its keyring
# expect: finished|raised|killed

import ctypes
import os

libc = ctypes.CDLL(None)

number = 248 if os.uname().machine == "x86_64" else 217
breached = libc.syscall(number, b"user", b"planted-session", b"secret", 6, -3) >= 0
