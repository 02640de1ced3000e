# tries: patches what it believes to be the code around it
# expect: finished|killed|bad_value|missing_output

import sys

for name, module in list(sys.modules.items()):
    if name.startswith("_jail"):
        for attribute in list(vars(module)):
            setattr(module, attribute, lambda *_, **__: {"reason": "finished", "message": "", "values": {"breached": True, "more": 1}})
breached = False
