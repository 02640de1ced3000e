# The honest program that follows each attempt: its score must be the same every time, and it looks for what the one
# before it may have left. Not an attempt itself.

import errno
import json
import math
import os
import random
import resource
import signal
import socket
import sys
import ctypes

libc = ctypes.CDLL(None)
x86 = os.uname().machine == "x86_64"
primes = [n for n in range(2, 200) if all(n % k for k in range(2, int(math.sqrt(n)) + 1))]
score = json.loads(json.dumps(sum(primes) + len("abc") + 7 + libc.labs(-5)))
if "numpy" in sys.modules:
    import numpy

    score += float(numpy.sum(numpy.sort(numpy.arange(10.0))) + numpy.mean(numpy.ones(3)))
score += sum(shared) + (float(sum(array)) if array is not None else 0.0)

state = {
    "umask": os.umask(0o022),
    "nice": os.nice(0),
    "cpus": len(os.sched_getaffinity(0)),
    "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "handlers": [str(signal.getsignal(n)) for n in (signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE, signal.SIGALRM)],
    "files": [resource.getrlimit(kind) for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE, resource.RLIMIT_FSIZE)],
    "timer": signal.getitimer(signal.ITIMER_REAL)[0],
    "path": [part for part in sys.path if "site" not in part],
    "user": [os.getuid(), os.getgid(), os.geteuid(), os.getegid()],
    "name": os.uname().nodename,
    "descriptors": len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else -1,
    "modules": len(sys.modules),
    "environment": sorted(os.environ),
}

left = [name for name in sorted(os.listdir(".")) if name]
for folder in ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue"):
    try:
        left += [f"{folder}/{name}" for name in os.listdir(folder) if "planted" in name]
    except OSError:
        pass
left += [call for call in ("shmget", "semget", "msgget") if getattr(libc, call)(0x1234, *((0,) * (call != "msgget")), 0) >= 0]
if libc.mq_open(b"/planted", os.O_RDONLY) >= 0:
    left.append("message queue")
for ring, name in ((-4, b"planted-user"), (-3, b"planted-session")):
    if libc.syscall(250 if x86 else 219, 10, ring, b"user", name, 0) >= 0:
        left.append("key")
for family, address in ((socket.AF_UNIX, "\0planted"), (socket.AF_INET, ("127.0.0.1", 8123))):
    try:
        with socket.socket(family) as server:
            server.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            left.append(f"server on {address!r}")
if hasattr(sys.modules.get("numpy"), "planted") or "planted" in sys.modules:
    left.append("patched module")
