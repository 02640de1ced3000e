"""How a reply carries a candidate: small exchangeable policies, one file each."""
