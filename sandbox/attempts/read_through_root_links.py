# tries: goes up through /proc/1/root and /proc/1/cwd
# expect: raised

import os

os.listdir("/proc/1/root" + host_folder)
breached = True
