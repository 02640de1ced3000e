# tries: scores infinity, which beats everything
# expect: finished|bad_value

breached = float("inf")
