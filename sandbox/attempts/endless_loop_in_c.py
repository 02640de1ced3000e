# tries: never comes back from C code, where no Python signal handler runs
# expect: timeout|cpu
# endless: yes
# limits: wall_s=1

sum(iter(int, 1))
