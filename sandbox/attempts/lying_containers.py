# tries: hands back a list and a dict whose length and items change while they are read
# expect: bad_value|finished|raised|timeout|memory
# endless: yes
# limits: wall_s=2,memory_mb=256

class Growing(list):
    def __len__(self):
        return 3

    def __iter__(self):
        while True:
            yield 1


class Odd(dict):
    def items(self):
        return [("a", 1)] * 10**9


breached = [Growing(), Odd()]
