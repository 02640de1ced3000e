# tries: leaves by sys.exit with a status
# expect: raised

import sys

sys.exit(7)
