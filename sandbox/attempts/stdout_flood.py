# tries: prints without end
# expect: output
# limits: wall_s=10,output_kb=64

while True:
    print("x" * 1000)
