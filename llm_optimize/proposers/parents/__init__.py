"""What the next candidate is built on: small exchangeable policies, one file each."""
