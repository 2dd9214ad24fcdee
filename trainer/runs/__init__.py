"""A run is a folder, and its events are the truth. Nothing here imports torch."""
