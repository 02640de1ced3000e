# tries: reads the lists of mounts, keys and partitions for traces of the host's folder
# expect: finished|raised|killed

breached = False
for name in ("self/mountinfo", "keys", "locks", "1/cmdline", "self/cgroup"):
    try:
        breached |= host_folder in open(f"/proc/{name}").read()
    except OSError:
        pass
