# tries: leaves links to the host under names that whoever cleans up may follow
# expect: finished

import os

for name in ("planted", "core", "output", "result", ".bashrc", "a" * 200):
    os.symlink(host_folder + "/precious", name)
os.symlink(".", "loop")
os.symlink(host_folder, "folder")
breached = False
