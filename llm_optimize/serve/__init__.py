"""The live page: a study's report as it grows, the model's reply as it is written, and a person's word in between."""
