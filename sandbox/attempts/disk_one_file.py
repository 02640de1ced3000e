# tries: fills the disk with one file
# expect: raised
# limits: files_mb=8

with open("big", "wb") as file:
    while True:
        file.write(bytes(1 << 20))
