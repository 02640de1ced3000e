# tries: hands back a list that holds itself
# expect: bad_value|raised

breached = []
breached.append(breached)
