# tries: changes settings of the kernel
# expect: finished|raised|killed

breached = False
for path in ("kernel/hostname", "kernel/core_pattern", "vm/overcommit_memory", "user/max_user_namespaces", "kernel/shmmax"):
    try:
        old = open(f"/proc/sys/{path}").read()
        open(f"/proc/sys/{path}", "w").write(old)  # what is there already, so that a success does no harm
    except OSError:
        continue
    print(path)
    breached = True
