# tries: asks not to be chosen when memory runs out, and its parent to be
# expect: finished|raised|killed

breached = False
for pid, value in (("self", "-1000"), ("1", "1000")):
    try:
        with open(f"/proc/{pid}/oom_score_adj", "w") as file:
            file.write(value)
        breached = True
    except OSError:
        pass
