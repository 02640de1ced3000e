# tries: makes the clock run backwards for whoever measures it
# expect: finished|raised|bad_value

import time

time.perf_counter = time.monotonic = time.time = lambda: -1.0
breached = False
