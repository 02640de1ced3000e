# tries: prints what looks like a result
# expect: missing_output

print('{"reason": "finished", "values": {"breached": true}}')
raise SystemExit(0)
