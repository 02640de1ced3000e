# tries: holds a null byte in a text that it compiles
# expect: raised

exec("x = 1\0")
