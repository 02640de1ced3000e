# tries: uses the optimizer's own files to find the host
# expect: finished|raised|killed

import sys

breached = False
for name, module in list(sys.modules.items()):
    path = getattr(module, "__file__", None) or ""
    if name.startswith("_jail"):
        try:
            open(path, "a").close()
            breached = True
        except OSError:
            pass
