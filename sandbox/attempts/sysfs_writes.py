# tries: looks for settings of the hardware that it may change
# expect: finished|raised|killed
# limits: wall_s=5

import os

breached = False
for top in ("/sys/kernel", "/sys/module", "/sys/class", "/sys/power", "/sys/devices/system/cpu"):
    for folder, _, files in os.walk(top):
        breached |= any(os.access(os.path.join(folder, name), os.W_OK) for name in files)
