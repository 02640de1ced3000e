# tries: never ends
# expect: timeout|cpu
# limits: wall_s=1

while True:
    pass
