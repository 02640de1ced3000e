# tries: leaves files with names that are no text, and folders that nobody may enter
# expect: finished

import os

for name in (b"planted\n", b"\xff\xfe", b"-rf", b"*", b" ", b"a" * 255):
    open(name, "wb").close()
os.mkdir("closed")
open("closed/planted", "w").close()
os.chmod("closed", 0)
os.chmod(".", 0)
breached = False
