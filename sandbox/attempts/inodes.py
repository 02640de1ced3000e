# tries: fills the disk with empty files
# expect: raised
# limits: files_mb=8,wall_s=20

for number in range(50_000):
    open(str(number), "w").close()
breached = True
