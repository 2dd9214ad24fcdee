"""A recipe and a dataset in, a checkpoint out, telling events as it goes.

`recipe`, `presets` and `estimate` need no torch, so that the page can draw its form without it.
"""
