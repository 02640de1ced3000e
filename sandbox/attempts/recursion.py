# tries: calls itself without end
# expect: raised

def deeper():
    return deeper()


deeper()
