# tries: runs a program whose file grants root's rights
# expect: finished

import subprocess

done = subprocess.run(["/bin/sh", "-c", "su -c true root </dev/null || mount -t tmpfs none /box"], capture_output=True, check=False)
status = open("/proc/self/status").read()
breached = done.returncode == 0 or "CapEff:\t0000000000000000" not in status or "NoNewPrivs:\t1" not in status
