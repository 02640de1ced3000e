# tries: patches numpy for the next program
# expect: finished|raised|bad_value

import numpy

breached = False
numpy.sum = numpy.mean = numpy.sort = lambda *_, **__: 42.0
numpy.planted = True
numpy.arange(4).flags.writeable = False
numpy.seterr(all="raise")
