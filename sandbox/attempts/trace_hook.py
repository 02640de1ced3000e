# tries: watches the code around it by a trace hook and a profiler
# expect: finished|raised|killed|bad_value

import sys
import threading

seen = []


def look(frame, event, argument):
    seen.extend(value for value in frame.f_locals.values() if isinstance(value, str) and frame.f_back is None)
    return look


sys.settrace(look)
sys.setprofile(look)
threading.settrace(look)
frame = sys._getframe()
while frame is not None:
    frame.f_trace = look
    frame = frame.f_back
breached = any(canary[::-1] in text for text in seen)
