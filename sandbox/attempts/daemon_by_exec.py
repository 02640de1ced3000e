# tries: leaves a detached program of the system behind
# expect: finished

import subprocess

subprocess.Popen(["/bin/sleep", "3600"], start_new_session=True, stdin=-3, stdout=-3, stderr=-3)
breached = False
