# tries: fills the disk with many files
# expect: raised
# limits: files_mb=8

for number in range(64):
    with open(str(number), "wb") as file:
        file.write(bytes(1 << 20))
breached = True
