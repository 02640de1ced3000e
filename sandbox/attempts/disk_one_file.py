# tries: fills the disk with one file
# expect: raised
# limits: files_mb=8

with open("big", "wb") as file:
    for _ in range(64):
        file.write(bytes(1 << 20))
breached = True
