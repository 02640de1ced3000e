# tries: looks for processes other than its own
# expect: finished|raised

import os

breached = str(host_pid) in os.listdir("/proc") or len([p for p in os.listdir("/proc") if p.isdigit()]) > 2
