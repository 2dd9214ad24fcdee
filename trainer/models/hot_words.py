"""Names and words to listen for: what matches one of them, letter by letter, becomes likelier."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from trainer.errors import UserError
from trainer.models.vocabulary import Vocabulary
from trainer.speech.locales import LOCALES, Locale
from trainer.speech.text import SEPARATOR, is_han, normalise, to_units

MOST_HOT, MOST_LETTERS = 200, 2_000  # more of them match anything

HAN_LETTERS = 3  # that a Chinese character counts for: as much as is said in a syllable


@dataclass(eq=False)
class _Node:
    """A beginning of some of the words."""

    following: dict[str, "_Node"] = field(default_factory=dict)
    whole: bool = False  # it is one of them


@dataclass(frozen=True)
class HotState:
    """How far the text matches: `node` is None where it does not. `given`: letters that would be taken back."""

    node: _Node | None
    given: int = 0


class HotWords:
    """`units`: words and names in the model's units, of several words too; see `hot_words`.

    A match counts from a word's beginning to a word's end; where words are `characters`, from and to anywhere.
    """

    def __init__(self, units: Iterable[str], characters: bool = False) -> None:
        self.units, self._characters = tuple(units), characters
        self._root = _Node()
        for word in self.units:
            node = self._root
            for letter in word:
                node = node.following.setdefault(letter, _Node())
            node.whole = bool(word)

    def __bool__(self) -> bool:
        return bool(self._root.following)

    @property
    def start(self) -> HotState:
        """Before any letter."""
        return HotState(self._root)

    def letter(self, state: HotState, word: str, letter: str) -> tuple[HotState, int]:
        """After one more letter of a `word`, and by how many letters more the text matches than before."""
        node = state.node
        if node is None:
            return state, 0
        more = HAN_LETTERS if self._characters and is_han(letter) else 1
        if letter in node.following:
            return self._matched(node.following[letter], state.given + more), more
        again = self._walked(letter if self._characters else word + letter)
        if again is None:
            return HotState(self._root if self._characters else None), -state.given
        more = more if self._characters else len(word) + 1
        return self._matched(again, more), more - state.given

    def _matched(self, node: _Node, given: int) -> HotState:
        return HotState(node, 0 if self._characters and node.whole else given)

    def space(self, state: HotState) -> tuple[HotState, int]:
        """After a word's end."""
        settled = 0 if state.node is not None and state.node.whole else state.given
        if state.node is not None and SEPARATOR in state.node.following:
            return HotState(state.node.following[SEPARATOR], settled + 1), 1
        return HotState(self._root), -settled

    def end(self, state: HotState) -> int:
        """By how many letters the text matches more (less) than before where it ends."""
        return 0 if state.node is not None and state.node.whole else -state.given

    def _walked(self, letters: str) -> _Node | None:
        node: _Node | None = self._root
        for letter in letters:
            node = node.following.get(letter) if node else None
        return node


def hot_words(typed: str, vocabulary: Vocabulary) -> HotWords:
    """From what a person typed: names and words between commas, semicolons or lines.

    Raises UserError where there are far too many.
    """
    parts = typed.replace(";", ",").replace("\n", ",").replace("、", ",").replace("，", ",").split(",")
    parts = [part for part in map(str.strip, parts) if part]
    if len(parts) > MOST_HOT or len(typed) > 2 * MOST_LETTERS:
        raise UserError(
            f"I can listen for {MOST_HOT} names and words at most.", "Leave out those that it writes well already."
        )
    locale = locale_for(vocabulary)
    units = [to_units(normalise(part, locale, vocabulary.case), locale) for part in parts]
    return HotWords(filter(None, units), locale.script == "han")


def locale_for(vocabulary: Vocabulary) -> Locale:
    """A language that is spelt with the same kind of letters: Chinese, Korean, or else English."""
    letters = "".join(vocabulary.letters.values())
    if any(map(is_han, letters)):
        return LOCALES["zh-CN"]
    korean = any("ᄀ" <= letter <= "ᇿ" or "가" <= letter <= "힣" for letter in letters)
    return LOCALES["ko-KR" if korean else "en-US"]
