# tries: hands back an integer of a million digits
# expect: bad_value|finished|raised|timeout
# limits: wall_s=3

breached = 1 << 4_000_000
