# tries: hands back an array of objects
# expect: bad_value|raised

import numpy


class Evil:
    def __reduce__(self):
        return (print, ("ran in the host",))


breached = numpy.array([Evil(), None], dtype=object)
