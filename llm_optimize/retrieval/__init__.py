"""Finding text by meaning or by words: embedding back ends, a cache of vectors, chunking, ranking and an index."""
