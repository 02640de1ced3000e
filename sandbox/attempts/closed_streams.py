# tries: closes every descriptor, then goes on
# expect: killed

import os

os.closerange(0, 1024)
breached = False
