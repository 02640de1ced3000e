"""Systems under optimization, built from models, scorers and retrieval."""
