# tries: walks up the frames above it for the host's data
# expect: finished

import sys

frame, seen = sys._getframe(), ""
while frame is not None:
    seen += str(dict(frame.f_locals)) + str(dict(frame.f_globals)) if frame.f_back else ""
    frame = frame.f_back
breached = canary[::-1] in seen
