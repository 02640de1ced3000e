# tries: sets timers that go off when it has ended
# expect: finished

import signal

signal.signal(signal.SIGALRM, signal.SIG_IGN)
signal.alarm(1)
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.01)
breached = False
