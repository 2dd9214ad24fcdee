"""The 14 locales of MInDS-14, one row each. Adding a locale is adding a row."""

import unicodedata
from dataclasses import dataclass
from typing import Literal

from trainer.errors import UserError

Script = Literal["latin", "cyrillic", "hangul", "han"]


@dataclass(frozen=True)
class Locale:
    """A language as spoken in one country.

    `minds_clips` is the number of rows of the locale in PolyAI/minds14 at the pinned revision.
    """

    code: str
    native: str
    english: str
    script: Script
    minds_clips: int
    example: str
    iso: tuple[str, ...]  # the language's codes of three letters in ISO 639-2 and 639-3

    @property
    def language(self) -> str:
        """The ISO 639-1 code, e.g. "de"."""
        return self.code.split("-")[0]

    @property
    def english_language(self) -> str:
        """The language alone: "English" for American, British and Australian English."""
        return self.english.split()[-1]

    @property
    def label(self) -> str:
        """How the page shows it: "Deutsch (Deutschland) · German"."""
        return f"{self.native} · {self.english}"

    def is_spoken_as(self, named: str) -> bool:
        """Whether a word means this language, whatever the country: "de", "deu", "de_AT", "German", "Deutsch"."""
        code = named.strip().casefold().replace("_", "-").split("-")[0]
        if code in (self.language, *self.iso):
            return True
        rows = [row for row in LOCALES.values() if row.language == self.language]
        names = {name for row in rows for name in (row.native, row.english, row.english_language)}
        return _plain(named) in set(map(_plain, names))

    @property
    def headline(self) -> Literal["wer", "cer"]:
        """The figure shown first. Chinese is written without spaces, so there it is the characters."""
        return "cer" if self.script == "han" else "wer"


_ROWS = (
    Locale("en-US", "English (United States)", "American English", "latin", 563, "please freeze my card", ("eng",)),
    Locale("en-GB", "English (United Kingdom)", "British English", "latin", 592, "please block my card", ("eng",)),
    Locale("en-AU", "English (Australia)", "Australian English", "latin", 654, "please lock my card", ("eng",)),
    Locale("de-DE", "Deutsch (Deutschland)", "German", "latin", 611, "bitte sperren sie meine karte", ("deu", "ger")),
    Locale("fr-FR", "Français (France)", "French", "latin", 539, "bloquez ma carte s'il vous plaît", ("fra", "fre")),
    Locale("es-ES", "Español (España)", "Spanish", "latin", 486, "quiero bloquear mi tarjeta", ("spa",)),
    Locale("it-IT", "Italiano (Italia)", "Italian", "latin", 696, "vorrei bloccare la mia carta", ("ita",)),
    Locale("nl-NL", "Nederlands (Nederland)", "Dutch", "latin", 654, "ik wil mijn pas blokkeren", ("nld", "dut")),
    Locale("pl-PL", "Polski (Polska)", "Polish", "latin", 562, "chcę zablokować kartę", ("pol",)),
    Locale("pt-PT", "Português (Portugal)", "Portuguese", "latin", 604, "quero bloquear o meu cartão", ("por",)),
    Locale("cs-CZ", "Čeština (Česko)", "Czech", "latin", 574, "chci zablokovat kartu", ("ces", "cze")),
    Locale("ru-RU", "Русский (Россия)", "Russian", "cyrillic", 539, "заблокируйте мою карту", ("rus",)),
    Locale("ko-KR", "한국어 (대한민국)", "Korean", "hangul", 592, "카드를 정지해 주세요", ("kor",)),
    Locale("zh-CN", "中文（中国）", "Chinese", "han", 502, "请冻结我的银行卡", ("zho", "chi", "cmn")),
)
LOCALES: dict[str, Locale] = {row.code: row for row in _ROWS}


def _plain(name: str) -> str:
    """A language's name without its country: "Français (France)" is "français"."""
    return unicodedata.normalize("NFKC", name).split("(")[0].strip().casefold()


def locale_of(code: str) -> Locale:
    """The locale with this code. Raises UserError naming the known ones."""
    try:
        return LOCALES[code]
    except KeyError:
        known = ", ".join(LOCALES)
        raise UserError(f"“{code[:40]}” is not one of the languages I know.", f"Choose one of: {known}.") from None
