"""Systems under optimization, built from proposers and scorers."""
