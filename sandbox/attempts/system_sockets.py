# tries: connects to the sockets of system services
# expect: finished|raised|killed

import os
import socket

breached = False
for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/dbus/system_bus_socket", "/run/systemd/private", "/run/systemd/notify", "/run/snapd.socket", "/dev/log", f"/run/user/{os.getuid()}/bus"):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            socket.socket(socket.AF_UNIX, kind).connect(path)
            breached = True
        except OSError:
            pass
