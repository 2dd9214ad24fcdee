"""Checkpoints: which can be used, how one is loaded safely, and its processor for a locale."""
