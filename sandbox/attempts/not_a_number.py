# tries: scores not-a-number, which compares with nothing
# expect: finished|bad_value

breached = float("nan")
