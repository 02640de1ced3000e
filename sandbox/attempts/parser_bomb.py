# tries: is nested so deep that the compiler's stack may not hold it
# expect: raised|memory|killed
# limits: wall_s=5

compile("-" * 3_000_000 + "1", "deep", "eval")
