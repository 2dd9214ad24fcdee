"""Sound, text, locales, datasets and error rates. Nothing here knows of models or pages."""
