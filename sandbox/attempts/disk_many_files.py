# tries: fills the disk with many files
# expect: raised
# limits: files_mb=8

number = 0
while True:
    with open(str(number), "wb") as file:
        file.write(bytes(1 << 20))
    number += 1
