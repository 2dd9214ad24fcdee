"""Text of anybody's making, made harmless in Markdown: it shows as it was written and changes nothing around it."""

import re
import unicodedata
from collections.abc import Sequence

LONGEST = 300  # characters of one piece of text
# In a table, a paragraph or a heading these may begin something. As entities they never do: CommonMark 6.2.
_MARKUP = re.compile(r"[\\`*_{}\[\]()<>#+|~&$:@=^!\"]|^-|--+|\.(?=[^\W\d])")
_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # the direction of writing


def plain(text: object, longest: int = LONGEST) -> str:
    """One line without control characters, valid as UTF-8; what is longer ends in "…"."""
    shown = "".join(" " if _breaks(letter) else letter for letter in str(text))
    shown = " ".join(shown.encode("utf-8", "replace").decode("utf-8").split())
    return shown if len(shown) <= longest else f"{shown[: longest - 1].rstrip()}…"


def inline(text: object) -> str:
    """For anywhere in a line of Markdown, a cell of a table included."""
    shown = plain(text)
    return _MARKUP.sub(lambda found: "".join(f"&#{ord(letter)};" for letter in found[0]), shown)


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _breaks(letter: str) -> bool:
    return letter in _TURNING or unicodedata.category(letter) in ("Cc", "Zl", "Zp", "Cs")
