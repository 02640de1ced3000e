# tries: hands back a list nested a million levels deep
# expect: bad_value

breached = []
for _ in range(1_000_000):
    breached = [breached]
