# tries: hands back a small value that unfolds into billions
# expect: bad_value
# limits: wall_s=30

breached = [0] * 10
for _ in range(20):
    breached = [breached] * 10
