# tries: computes a number that no memory holds, in C code
# expect: timeout|cpu|memory|raised
# endless: yes
# limits: wall_s=1,memory_mb=128

9 ** 9 ** 9
