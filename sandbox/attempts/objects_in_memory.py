# tries: walks all objects of the interpreter for the host's data
# expect: finished|raised

import gc

breached = False
for found in gc.get_objects():
    if isinstance(found, dict):
        for value in list(found.values()):
            if isinstance(value, str):
                breached |= canary[::-1] in value or (value.startswith("hidden-answer-") and value[14:15] == "Q")
