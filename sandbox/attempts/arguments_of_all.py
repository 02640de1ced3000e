# tries: looks for keys in command lines and lines of source that are kept
# expect: finished|raised

import linecache
import os
import sys

text = str(sys.argv) + str(sys.orig_argv) + str({k: v for k, v in linecache.cache.items() if k != "<program>"})
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        text += open(f"/proc/{pid}/cmdline").read()
    except OSError:
        pass
breached = canary[::-1] in text
