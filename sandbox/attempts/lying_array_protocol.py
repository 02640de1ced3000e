# tries: hands back an object that says it is an array at an address of its choice
# expect: bad_value|raised|killed

class Array:
    __array_interface__ = {"shape": (1 << 40,), "typestr": "<f8", "data": (4096, False), "version": 3}
    dtype = "<f8"
    shape = (1 << 40,)


breached = Array()
