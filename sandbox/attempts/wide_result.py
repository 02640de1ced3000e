# tries: hands back a dict with a million long keys
# expect: bad_value|memory|timeout|finished|raised
# limits: wall_s=6

breached = {f"{number:0200d}": None for number in range(300_000)}
