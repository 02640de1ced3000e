# tries: replaces itself by another program that prints a score
# expect: killed|missing_output|bad_value

import os

os.execv("/bin/sh", ["sh", "-c", "echo breached; echo forged >&3; exit 0"])
