# tries: creates the host's folder and a file in it; what it makes is in a private /tmp at most
# expect: raised|finished

import os

os.makedirs(host_folder, exist_ok=True)
open(os.path.join(host_folder, "planted"), "w").write("1")
breached = os.path.exists(os.path.join(host_folder, "precious"))
