# tries: never ends
# expect: timeout|cpu
# endless: yes
# limits: wall_s=1

while True:
    pass
