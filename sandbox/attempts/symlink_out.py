# tries: leads a link of its own out of the working folder
# expect: raised

import os

os.symlink(host_folder, "out")
os.listdir("out")
breached = True
