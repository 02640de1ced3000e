# tries: sends two results, the first of them forged
# expect: bad_value|finished|killed

import os

FRAME = b"m\x03\x00\x00\x00"
for module in list(__import__("sys").modules.values()):
    encode = getattr(module, "encode_outcome", None)
    if callable(encode):
        FRAME = b"".join(bytes(part) for part in encode({"reason": "finished", "message": "", "values": {"breached": False}}))
for _ in range(2):
    for number in range(3, 64):
        try:
            os.write(number, FRAME)
        except OSError:
            pass
breached = False
