# tries: looks for the host's servers in /proc/net
# expect: finished|raised|killed

breached = False
for name in ("tcp", "unix", "udp"):
    try:
        text = open(f"/proc/net/{name}").read()
    except OSError:
        continue
    breached |= f":{port:04X} " in text or unix_abstract in text
