# tries: hands back an object with code
# expect: bad_value

class Evil:
    def __reduce__(self):
        return (print, ("ran in the host",))


breached = Evil()
