# tries: sends a command to the kernel's emergency console (its help, which does no harm)
# expect: finished|raised|killed

breached = False
try:
    with open("/proc/sysrq-trigger", "w") as file:
        file.write("h")
    breached = True
except OSError:
    pass
