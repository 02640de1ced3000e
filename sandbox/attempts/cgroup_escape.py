# tries: writes into the tree of control groups, whose release agent runs outside
# expect: finished|raised|killed

import os

breached = False
for folder, _, files in os.walk("/sys/fs/cgroup"):
    for name in files:
        if os.access(os.path.join(folder, name), os.W_OK):
            breached = True
