# tries: hands back an array whose strides make it larger than its memory
# expect: bad_value|memory|raised|killed|timeout
# limits: wall_s=3

import numpy

breached = numpy.lib.stride_tricks.as_strided(numpy.zeros(1), shape=(1 << 20, 1 << 20), strides=(0, 0))
