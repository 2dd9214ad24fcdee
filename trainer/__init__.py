"""Voicetune: teach a speech model your language, watch it learn, and talk to it."""

__version__ = "0.1.0"
