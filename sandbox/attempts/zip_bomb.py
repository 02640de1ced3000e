# tries: unpacks a small text into a huge one
# expect: memory|raised
# limits: memory_mb=128,wall_s=5
# needs: rlimits|watch|cgroup

import zlib

packed = zlib.compress(bytes(1 << 28), 1)
taken = [zlib.decompress(packed) for _ in range(8)]
breached = True
