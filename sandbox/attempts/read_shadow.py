# tries: reads the password file
# expect: raised

open("/etc/shadow").read()
breached = True
