# tries: matches a pattern whose time doubles with each letter, in C code
# expect: timeout|cpu
# endless: yes
# limits: wall_s=1

import re

re.match("(a+)+$", "a" * 64 + "b")
