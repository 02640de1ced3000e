# tries: lists and reads a folder of the host
# expect: raised

import os

os.listdir(host_folder)
breached = True
