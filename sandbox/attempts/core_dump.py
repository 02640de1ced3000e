# tries: dies so that its memory is written to a file
# expect: killed

import os
import resource

secret = canary
try:
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
except (OSError, ValueError):
    pass
os.abort()
