# tries: types a command into the terminal that the host was started from
# expect: finished|raised|killed

import fcntl
import os
import termios

descriptors, breached = [0, 1, 2], False
for path in ("/dev/tty", "/dev/console", "/dev/pts/0", "/dev/pts/1"):
    try:
        descriptors.append(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY))
    except OSError:
        pass
for descriptor in descriptors:
    for request in (termios.TIOCSTI, 0x541C):  # the second pastes (TIOCLINUX)
        try:
            fcntl.ioctl(descriptor, request, b"#")
            breached = True
        except OSError:
            pass
