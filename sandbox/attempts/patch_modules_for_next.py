# tries: changes every preloaded module that it can reach
# expect: finished|raised|bad_value|killed|missing_output

import sys

breached = False
for name in ("json", "math", "random", "statistics", "collections", "functools"):
    module = sys.modules.get(name)
    for attribute in list(vars(module)) if module else ():
        if not attribute.startswith("__"):
            setattr(module, attribute, None)
sys.modules["planted"] = sys
sys.path.insert(0, "/planted")
