# tries: runs programs that grant their owner's rights, and makes one itself
# expect: finished|raised|killed|timeout
# limits: wall_s=5

import os
import shutil
import subprocess
import sys

breached = False
show = "import os; print(os.geteuid(), os.getegid())"
own = f"{os.geteuid()} {os.getegid()}"
for folder in ("/usr/bin", "/usr/sbin", "/bin"):
    for entry in os.scandir(folder):
        if entry.name in ("pkexec", "sudo", "doas", "su") and entry.stat().st_mode & 0o4000:
            command = [entry.path, *(["-n"] if entry.name == "sudo" else []), "id", "-u"]
            done = subprocess.run(command, capture_output=True, stdin=-3, text=True, check=False, timeout=2)
            breached |= done.stdout.strip() == "0"
try:
    shutil.copy(sys.executable, "copy")
    os.chmod("copy", 0o6755)
    done = subprocess.run(["./copy", "-I", "-S", "-c", show], capture_output=True, text=True, check=False)
    breached |= done.stdout.strip() not in ("", own)
except OSError:
    pass
