# tries: writes into the interpreter's own packages
# expect: raised

import os

with open(os.path.join(os.path.dirname(os.__file__), "planted.py"), "w") as file:
    file.write("1")
breached = True
