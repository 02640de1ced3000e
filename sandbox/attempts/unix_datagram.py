# tries: sends datagrams to the host's unix sockets
# expect: finished|raised|killed

import socket

breached = False
for address in ("\0" + unix_abstract, unix_path):
    for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_STREAM):
        try:
            end = socket.socket(socket.AF_UNIX, kind)
            end.connect(address)
            breached = True
        except OSError:
            pass
