# tries: sends a good result early, then goes on for ever
# expect: timeout|bad_value
# endless: yes
# limits: wall_s=1

import os
import sys
import time

for module in list(sys.modules.values()):
    encode = getattr(module, "encode_outcome", None)
    if callable(encode):
        frame = b"".join(bytes(part) for part in encode({"reason": "finished", "message": "", "values": {"breached": False}}))
        for number in range(3, 64):
            try:
                os.write(number, frame)
            except OSError:
                pass
time.sleep(60)
