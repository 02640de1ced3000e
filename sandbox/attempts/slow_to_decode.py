# tries: hands back a million of small values, which take long to read
# expect: bad_value|memory|timeout|finished|raised
# limits: memory_mb=1024,wall_s=6

breached = [[number] for number in range(1_000_000)]
