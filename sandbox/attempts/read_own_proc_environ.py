# tries: reads the environment that the kernel keeps of its own process
# expect: finished

breached = canary[::-1].encode() in open("/proc/self/environ", "rb").read()
