# tries: sends a datagram outside, as a name look-up would
# expect: raised

import socket

socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("8.8.8.8", 53))
breached = True
