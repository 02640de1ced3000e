# tries: hands back a number of a class that says it is larger than any other
# expect: bad_value|finished

class Best(float):
    def __gt__(self, other):
        return True

    def __reduce__(self):
        return (print, ("ran in the host",))

    def __eq__(self, other):
        return True

    __hash__ = None


breached = Best(0.0)
