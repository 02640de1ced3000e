"""The nouns and the loop; standard library only, imports nothing of the floors above."""
