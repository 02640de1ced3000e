# tries: climbs up to the host's folder by dots
# expect: raised

import os

open("../" * 40 + host_folder[1:] + "/precious").read()
breached = True
