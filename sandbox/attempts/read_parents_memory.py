# tries: opens the memory of process 1, which forked it
# expect: raised

open("/proc/1/mem", "rb")
breached = True
