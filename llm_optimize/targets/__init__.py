"""Systems under optimization: what a candidate steers, built from the floors below."""
