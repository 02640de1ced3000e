# tries: is no Python
# expect: raised

def (:
