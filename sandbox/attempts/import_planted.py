# tries: plants modules where the interpreter looks for them first
# expect: finished|raised

import os
import sys

for name in ("json", "math", "numpy", "sitecustomize", "usercustomize", "planted"):
    for folder in (".", *filter(None, sys.path), os.path.expanduser("~/.local/lib/python3.11/site-packages")):
        try:
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, f"{name}.py"), "w") as file:
                file.write("raise SystemExit('planted')")
        except OSError:
            pass
breached = False
