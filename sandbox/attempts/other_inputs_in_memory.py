# tries: searches its memory for the inputs of an earlier program
# expect: finished

import re

pattern, breached = re.compile(rb"hidden-answer-[A-Z]{4}[0-9]{4}"), False
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
    for line in maps:
        start, end = (int(part, 16) for part in line.split()[0].split("-"))
        if " rw" not in line or end - start > 1 << 26:
            continue
        try:
            memory.seek(start)
            breached |= pattern.search(memory.read(end - start)) is not None
        except OSError:
            pass
