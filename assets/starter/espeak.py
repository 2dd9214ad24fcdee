"""Speech by espeak-ng in all twelve languages, above all in Korean, which nothing more human here speaks.

    apt-get install espeak-ng
    python -m assets.starter.espeak --out FOLDER --minutes 25 --korean-minutes 60

FOLDER gets espeak/<language>/ and espeak.tsv. Sentences and voices that validate are never learnt from.
"""

import argparse
from pathlib import Path

import numpy as np
import soxr

from assets.starter.manifest import Manifest, is_held, trim
from assets.starter.sentences import LANGUAGES, Language, Random, draw_sentence
from assets.starter.telephone import RATE
from assets.starter.voice import ESPEAK_RATE, SEEN, UNSEEN, Voice

HELD_ONE_IN = 18  # sentences
OF = ("synthetic", "espeak-ng")  # espeak-ng's own licence, GPL-3.0, says nothing of what it says
MOST_SECONDS = 15


def utter(voice: Voice, language: Language, rng: Random) -> tuple[str, str, str, np.ndarray]:
    """Split, normalised text, voice and int16 samples at 16 kHz. Raises ValueError if it fell into another language."""
    text = draw_sentence(language, rng)
    normal = language.normal(text)
    held = is_held(normal, HELD_ONE_IN)
    accent, variant = str(rng.choice(language.accents)), str(rng.choice(UNSEEN if held else SEEN))
    rate, pitch, span = (int(rng.integers(low, high)) for low, high in ((110, 220), (10, 90), (20, 90)))
    spoken = voice.say(language.spoken(text), accent, variant, rate=rate, pitch=pitch, range=span)
    # It marks another language by "(en)" among the phones.
    if not spoken.phones or any(name.startswith("(") for _, name in spoken.phones):
        raise ValueError("not all of it is in the language")
    tract = rng.uniform(0.87, 1.15)  # a longer or shorter vocal tract
    sound = soxr.resample(spoken.samples, ESPEAK_RATE * tract, RATE)
    sound *= 0.7 / (np.abs(sound).max() + 1e-6)
    return "val" if held else "train", normal, f"{accent}+{variant}", trim((sound * 32_767).astype(np.int16), RATE)


def main() -> None:
    parser = argparse.ArgumentParser(description="Have espeak-ng say sentences in every language.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=25, help="of each language")
    parser.add_argument("--korean-minutes", type=float, default=60)
    given = parser.parse_args()
    manifest = Manifest(given.out / "espeak.tsv", given.out / "espeak")
    voice = Voice()
    for code, language in LANGUAGES.items():
        rng = np.random.default_rng([*code.encode()])
        minutes = given.korean_minutes if code == "ko" else given.minutes
        seconds = 0.0
        while seconds < 60 * minutes:
            try:
                split, text, name, samples = utter(voice, language, rng)
            except ValueError:
                continue
            if len(samples) < MOST_SECONDS * RATE:
                manifest.add(samples, code, name, split, text, OF)
                seconds += len(samples) / RATE
        print(f"{code}: {seconds / 60:.1f} minutes", flush=True)


if __name__ == "__main__":
    main()
