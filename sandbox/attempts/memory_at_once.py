# tries: asks for 100 GB at once
# expect: memory
# limits: memory_mb=128
# needs: rlimits|watch|cgroup

taken = bytearray(100 * 2**30)
