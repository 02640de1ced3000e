# tries: computes a number that no memory holds, in C code
# expect: timeout|cpu|memory|raised
# limits: wall_s=1,memory_mb=128

9 ** 9 ** 9
