# tries: patches builtins and modules that the next program uses
# expect: bad_value|finished

import builtins
import json
import math

breached = False
builtins.len = lambda _: 42
builtins.print = None
math.sqrt = lambda _: 42.0
json.loads = lambda _: 42
