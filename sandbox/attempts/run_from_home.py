# tries: makes a program in its folder and runs it without Python
# expect: finished|raised|killed|missing_output

import os
import subprocess

with open("tool", "w") as file:
    file.write(f"#!/bin/sh\ncat {host_folder}/precious\n")
os.chmod("tool", 0o755)
try:
    breached = canary[::-1] in subprocess.run(["./tool"], capture_output=True, text=True, check=False).stdout
except OSError:
    breached = False
