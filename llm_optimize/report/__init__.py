"""What a study did, for people: pairs of a sweep, one self-contained page, tables for other programs."""
