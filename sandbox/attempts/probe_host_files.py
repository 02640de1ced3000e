# tries: asks whether a file of the host exists, without opening it
# expect: finished|raised|killed

import os

breached = os.path.exists(host_folder) or os.access(host_folder + "/precious", os.F_OK)
