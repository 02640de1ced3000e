"""Systems under optimization, built from models, scorers, proposers and retrieval."""
