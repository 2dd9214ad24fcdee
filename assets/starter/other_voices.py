"""Speech of synthesizers other than espeak-ng, so that pretraining hears more kinds of it: `VOICES` says which.

    apt-get install flite festival festival-czech festvox-czech-{ph,dita,krb,machac} festvox-{italp16k,itapc16k} \\
        festvox-ru festvox-us-slt-hts festvox-{kallpc16k,kdlpc16k}
    python -m assets.starter.other_voices --texts TEXTS.tsv --out FOLDER --minutes-each 20

TEXTS.tsv has lines of language, tab, text. For each voice FOLDER gets <language>-<voice>.npz: `samples` (int16, 16 kHz,
one clip after the other), `ends` (int64, where each clip ends in them) and `texts` (what each says). A voice whose file
is there is left alone, so that a run can be started again. Equal texts give nearly equal speech: festival's Czech draws
phone durations at random, unseeded.
"""

import argparse
import subprocess
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
import soxr

from assets.starter.telephone import RATE


@dataclass(frozen=True)
class OtherVoice:
    name: str  # in the file's name
    language: str  # a key of `ENCODINGS`
    engine: str  # "flite" or "festival"
    engine_voice: str  # what the engine calls it


# The bytes in which festival's voices want letters. In the wrong ones it spells words out or leaves letters out.
ENCODINGS = {"en": "ascii", "cs": "iso8859-2", "it": "iso8859-1", "ru": "utf-8"}

# Licences are those of the Debian packages' copyright files. None says anything about the speech but that CMU's,
# Edinburgh's and festvox-ru's authors do not want their names used to endorse what is made of it.
VOICES = (
    # flite 2.2: CMU's permissive licence (like MIT's).
    OtherVoice("kal", "en", "flite", "kal"),
    OtherVoice("kal16", "en", "flite", "kal16"),
    OtherVoice("awb", "en", "flite", "awb"),
    OtherVoice("rms", "en", "flite", "rms"),
    OtherVoice("slt", "en", "flite", "slt"),
    # festvox-kallpc16k and festvox-kdlpc16k: CMU's and Edinburgh's permissive licence, the same words as flite's.
    OtherVoice("kal_diphone", "en", "festival", "kal_diphone"),
    OtherVoice("ked_diphone", "en", "festival", "ked_diphone"),
    # festvox-us-slt-hts: CMU's permissive licence of 2003, parts BSD-3-Clause.
    OtherVoice("slt_hts", "en", "festival", "cmu_us_slt_arctic_hts"),
    # festvox-czech-ph: GPL-2.0-or-later; -dita, -krb (a child) and -machac: GPL-3.0-or-later. Recorded diphones.
    OtherVoice("ph", "cs", "festival", "czech_ph"),
    OtherVoice("dita", "cs", "festival", "czech_dita"),
    OtherVoice("krb", "cs", "festival", "czech_krb"),
    OtherVoice("machac", "cs", "festival", "czech_machac"),
    # festvox-italp16k and festvox-itapc16k: GPL-2.0-or-later, recorded diphones too.
    OtherVoice("lp", "it", "festival", "lp_diphone"),
    OtherVoice("pc", "it", "festival", "pc_diphone"),
    # festvox-ru: permissive, the words of CMU's licence. Joins recorded pieces: no stretch, no pitch.
    OtherVoice("nsh", "ru", "festival", "msu_ru_nsh_clunits"),
)

STRETCHES, PITCHES = (0.8, 1.25), (0.85, 1.2)  # times the voice's own durations and pitch
PLAUSIBLE = (5, 30)  # characters a second: outside of them something was spelled out or left out

# After `(voice_...)`. At their own gain the Italian voices overflow 16 bits and wrap round and others clip, so each
# diphone is softened before it is joined: a copy, as festival keeps the original for later sentences. For the rest,
# UniSyn is defined as in festival's synthesis.scm.
SETUP = """
(defvar our_pitch 1.0)
(defvar hts_engine_params nil)
(defvar our_hts_params hts_engine_params)
(define (our_scaling utt)
  (mapcar
    (lambda (target)
      (if (item.feat.present target 'f0) (item.set_feat target 'f0 (* our_pitch (item.feat target 'f0)))))
    (if (member 'Target (utt.relationnames utt)) (utt.relation.leafs utt 'Target)))
  utt)
(set! after_analysis_hooks (append after_analysis_hooks (list our_scaling)))
(define (our_softening unit) (item.set_feat unit 'sig (wave.rescale (wave.copy (item.feat unit 'sig)) 0.25 nil)))
(defSynthType UniSyn
  (defvar UniSyn_module_hooks nil)
  (Param.def "unisyn.window_name" "hanning") (Param.def "unisyn.window_factor" 1.0)
  (apply_hooks UniSyn_module_hooks utt)
  (us_get_diphones utt)
  (mapcar our_softening (utt.relation.items utt 'Unit))
  (us_unit_concat utt)
  (if (not (member 'f0 (utt.relationnames utt))) (targets_to_f0 utt))
  (us_f0_to_pitchmarks utt 'f0 'TargetCoef (+ 0.02 (item.feat (utt.relation.last utt 'Segment) "end")))
  (us_mapping utt 'segment_single) (us_generate_wave utt 'lpc 'analysis_period))
"""
SAY = """
(set! our_pitch {pitch}) (Parameter.set 'Duration_Stretch {stretch})
(set! hts_engine_params (cons '("-r" {speed}) our_hts_params))
(utt.save.wave (utt.synth (Utterance Text "{text}")) "{path}" 'riff)
(format t "said\\n") (fflush nil)
"""


class Festival:
    """A process of festival that keeps its voice loaded, which takes up to a second; it ends when ours does."""

    def __init__(self, voice: OtherVoice) -> None:
        self.voice = voice
        self._start()

    def _start(self) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(["festival", "--pipe"], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
        self._write(f"(voice_{self.voice.engine_voice})" + SETUP)

    def _write(self, commands: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(commands.encode(ENCODINGS[self.voice.language]))
        self._process.stdin.flush()

    def say(self, text: str, stretch: float, pitch: float, path: Path) -> None:
        """Writes a file, or none if festival fails on the text or crashes, as some texts without a word make it."""
        if self._process.poll() is not None:
            self._start()
        text = text.replace("\\", " ").replace('"', " ")
        self._write(SAY.format(text=text, path=path, stretch=stretch, speed=1 / stretch, pitch=pitch))
        assert self._process.stdout
        if not any(line.endswith(b"said\n") for line in self._process.stdout):
            self._process.wait()


festival = lru_cache(maxsize=1)(Festival)


def say(text: str, voice: OtherVoice, stretch: float, pitch: float = 1) -> tuple[np.ndarray, int]:
    """int16 mono and its rate. Raises ValueError for letters that the voice lacks, RuntimeError if nothing was said."""
    text.encode(ENCODINGS[voice.language])
    with TemporaryDirectory() as folder:
        path = Path(folder, "said.wav")
        if voice.engine == "festival":
            festival(voice).say(text, stretch, pitch, path)
        else:
            settings = ("--setf", f"duration_stretch={stretch}", "--setf", f"f0_shift={pitch}")
            command = ["flite", "-voice", voice.engine_voice, *settings, "-t", text, "-o", str(path)]
            subprocess.run(command, check=False)
        samples, rate = soundfile.read(path, dtype="int16")
    return samples, rate


def trim(samples: np.ndarray, rate: int) -> np.ndarray:
    """Without the silence around, but for 30 ms: the first or last sound may be a faint one."""
    window = rate // 100
    levels = np.abs(samples[: len(samples) // window * window].astype(np.float32)).reshape(-1, window).mean(axis=1)
    loud = np.flatnonzero(levels > 0.02 * levels.max(initial=0))
    return samples[max(0, loud[0] - 3) * window : (loud[-1] + 4) * window] if len(loud) else samples[:0]


def render(voice: OtherVoice, texts: list[str], minutes: float, path: Path) -> str:
    """Writes `minutes` of the voice, or all texts if they are fewer, and says in a line how that went."""
    started = time.monotonic()
    rng = np.random.default_rng(VOICES.index(voice))
    clips: list[np.ndarray] = []
    said: list[str] = []
    seconds, tried = 0.0, 0
    for text in texts:
        if seconds >= 60 * minutes:
            break
        tried += 1
        try:
            samples, rate = say(text, voice, round(rng.uniform(*STRETCHES), 3), round(rng.uniform(*PITCHES), 3))
        except (ValueError, RuntimeError):
            continue
        clip = soxr.resample(trim(samples, rate), rate, RATE)
        if PLAUSIBLE[0] * len(clip) < len(text) * RATE < PLAUSIBLE[1] * len(clip):
            clips.append(clip)
            said.append(text)
            seconds += len(clip) / RATE
    if not clips:
        return f"{path.name}: none of {tried} texts could be said"
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        ends = np.cumsum([len(clip) for clip in clips], dtype=np.int64)
        np.savez(file, samples=np.concatenate(clips), ends=ends, texts=np.array(said))
    part.rename(path)
    pace = sum(map(len, said)) / seconds
    what = f"{len(clips)} clips of {tried}, {seconds / 60:.1f} minutes, {pace:.1f} characters a second"
    return f"{path.name}: {what}, rendered in {time.monotonic() - started:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description="Render texts with flite and festival.")
    parser.add_argument("--texts", type=Path, required=True, help="lines of language, tab, text")
    parser.add_argument("--out", type=Path, required=True, help="folder for <language>-<voice>.npz")
    parser.add_argument("--minutes-each", type=float, default=20)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = [line.split("\t", 1) for line in arguments.texts.read_text().splitlines() if "\t" in line]
    for voice in VOICES:
        path = arguments.out / f"{voice.language}-{voice.name}.npz"
        if path.exists():
            continue
        texts = [text for language, text in rows if language == voice.language]
        peers = [other for other in VOICES if other.language == voice.language]
        start = len(texts) * peers.index(voice) // len(peers)  # so that voices say different texts
        print(render(voice, texts[start:] + texts[:start], arguments.minutes_each, path), flush=True)


if __name__ == "__main__":
    main()
