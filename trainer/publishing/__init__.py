"""Sharing a finished run on the Hub: its files, its page, and the talk with huggingface_hub. Needs no torch."""
