# tries: reads what the kernel tells about the machine's memory and addresses
# expect: finished|raised|killed

breached = False
for path in ("/proc/kcore", "/dev/mem", "/dev/kmem", "/dev/port", "/proc/1/stack", "/proc/1/syscall", "/proc/1/auxv"):
    try:
        breached |= bool(open(path, "rb").read(16))
    except OSError:
        pass
try:
    breached |= any(int(line.split()[0], 16) for line in open("/proc/kallsyms"))
except OSError:
    pass
