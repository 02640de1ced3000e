# tries: hands back more than may cross
# expect: bad_value|memory

breached = [bytes(1 << 20)] * 1000
