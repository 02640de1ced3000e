# tries: leaves POSIX shared memory and semaphores for the next program
# expect: finished|raised|killed

from multiprocessing import shared_memory

try:
    kept = shared_memory.SharedMemory("planted", create=True, size=4096)
    kept.buf[0] = 42
except OSError:
    pass
breached = False
