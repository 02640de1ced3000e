# tries: leaves a umask, a folder, a priority, signal handlers and limits for the next program
# expect: finished|raised|killed

import os
import resource
import signal

os.umask(0o777)
os.chdir("/")
os.nice(5)
for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE, signal.SIGALRM):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
breached = False
