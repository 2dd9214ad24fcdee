"""What a visitor sees: one module a tab, and pure functions for what is drawn and said. Imports no torch."""
