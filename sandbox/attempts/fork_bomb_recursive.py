# tries: forks in a shell function, by exec
# expect: processes|raised|timeout|killed|missing_output
# endless: yes
# limits: wall_s=3,processes=16
# needs: pid rlimits

import subprocess

subprocess.run(["/bin/sh", "-c", "f() { f | f & }; f; sleep 3600"], check=True)
