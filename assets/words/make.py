"""Write down the common words of languages, most common first: `assets/words/<language>.txt`.

    pip install wordfreq && python -m assets.words.make

The order is wordfreq's (https://github.com/rspeer/wordfreq), whose data are CC-BY-SA-4.0.
"""

from pathlib import Path

import wordfreq

from trainer.speech.locales import LOCALES
from trainer.speech.text import normalise

HERE = Path(__file__).resolve().parent
WORDS = 30_000
# wordfreq takes Korean apart into smaller pieces than stand between spaces, and Chinese models are taught characters.
LEFT_OUT = ("ko", "zh")


def common(language: str, size: int = WORDS) -> list[str]:
    """As a model of that language writes them, each once; what is no word, such as numbers, is left out."""
    locale = next(locale for locale in LOCALES.values() if locale.language == language)
    found: dict[str, None] = {}
    for listed in wordfreq.top_n_list(language, 2 * size):
        word = normalise(listed, locale)
        if word and " " not in word and not any(map(str.isdigit, word)):
            found[word] = None
        if len(found) == size:
            break
    return list(found)


def main() -> None:
    for language in sorted({locale.language for locale in LOCALES.values()}.difference(LEFT_OUT)):
        words = common(language)
        (HERE / f"{language}.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
        print(language, len(words), words[:8])


if __name__ == "__main__":
    main()
