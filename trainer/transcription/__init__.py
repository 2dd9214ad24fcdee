"""A checkpoint and a sound in, words out. torch is imported inside functions only: the page does not need it."""
