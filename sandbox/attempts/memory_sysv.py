# tries: fills System V shared memory and detaches it
# expect: memory|raised|killed
# limits: memory_mb=128,wall_s=5
# needs: pid

import ctypes

libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
libc.shmdt.argtypes = [ctypes.c_void_p]
for _ in range(32):
    segment = libc.shmget(0, 8 << 20, 0o600)
    if segment < 0:
        raise OSError("no segment")
    address = libc.shmat(segment, None, 0)
    ctypes.memset(address, 1, 8 << 20)
    libc.shmdt(address)
breached = True
