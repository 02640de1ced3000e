# tries: looks into the home folders
# expect: finished

import os

found = []
for home in ("/root", "/home", os.path.expanduser("~root")):
    for folder, _, files in os.walk(home):
        found += [os.path.join(folder, file) for file in files if "/lib/python" not in folder and "/site-packages" not in folder]
breached = any(name.endswith((".ssh", "id_rsa", ".netrc", ".bash_history", ".bashrc", "credentials")) for name in found)
