# tries: takes memory bit by bit
# expect: memory
# limits: memory_mb=128
# needs: rlimits|watch|cgroup

taken = []
while True:
    taken.append(bytearray(1_000_000))
