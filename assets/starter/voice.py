"""Speech with phone times from libespeak-ng, through ctypes.

libespeak-ng keeps its state in globals: one `Voice` a process, one thread. Nothing is written to disk.
"""

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

ESPEAK_RATE = 22_050  # Hz, of every espeak-ng voice without MBROLA

# From espeak-ng's speak_lib.h.
AUDIO_OUTPUT_SYNCHRONOUS = 2
INIT_PHONEME_EVENTS, INIT_PHONEME_IPA = 1, 2
EVENT_LIST_END, EVENT_PHONEME = 0, 7
CHARS_UTF8 = 1
PARAMETERS = {"rate": 1, "pitch": 3, "range": 4}  # words a minute; 0-100; 0-100

# Stress, length, tone and syllable marks: what is left tells phones apart in every language alike.
MARKS = str.maketrans("", "", "ˈˌːˑ˥˦˧˨˩ꜛꜜ.-_|^?! 0123456789\u0329\u032f\u0361\u035c")

# espeak-ng's voice variants: those pretraining hears (libespeak-ng 1.51 crashes when Annie, Demonic or rob speak
# Mandarin at a low pitch),
SEEN_NAMES = """
    Alex Alicia Andrea Andy Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario Michael
    Mike Nguyen RicishayMax RicishayMax2 RicishayMax3 Storm Tweaky adam anika announcer antonio aunty belinda
    benjamin boris caleb david ed edward edward2 f1 f3 f5 grandma grandpa gustave iven iven2 iven3 iven4 john
    kaukovalta klatt klatt2 klatt3 klatt4 klatt5 klatt6 linda m1 m2 m4 m5 m6 m8 marcelo max michel miguel
    norbert pablo paul pedro quincy robert sandro shelby steph steph2 steph3 travis victor whisper
    whisperf zac
"""
# and those it never does: f4 and m7 are the practice set's test voices, f2 and m3 measure phone errors.
RESERVED = ("f4", "m7")
UNSEEN = ("f2", "m3")
SEEN = tuple(SEEN_NAMES.split())
assert not set(SEEN) & {*RESERVED, *UNSEEN}


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # ms from the start
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Samples, _Events = ctypes.POINTER(ctypes.c_short), ctypes.POINTER(_Event)
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, _Samples, ctypes.c_int, _Events)


@dataclass(frozen=True)
class Spoken:
    """One utterance: float32 samples at 22,050 Hz in -1 to 1, and each phone with its start in seconds.

    A phone that is the empty string is a pause.
    """

    samples: np.ndarray
    phones: tuple[tuple[float, str], ...]


class Voice:
    """Says texts in any of espeak-ng's languages and voice variants."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libespeak-ng.so.1")
        options = INIT_PHONEME_EVENTS | INIT_PHONEME_IPA
        if self._library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 200, None, options) != ESPEAK_RATE:
            raise OSError("libespeak-ng did not start at 22,050 Hz; is espeak-ng-data installed?")
        self._samples: list[np.ndarray] = []
        self._phones: list[tuple[float, str]] = []
        self._callback = _Callback(self._collect)  # kept: ctypes does not hold a reference
        self._library.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples: Any, count: int, events: Any) -> int:
        """espeak-ng's callback: `_Samples` and `_Events` in, 0 out to go on."""
        if samples and count:
            self._samples.append(np.ctypeslib.as_array(samples, (count,)).astype(np.float32) / 32_768)
        i = 0
        while events[i].type != EVENT_LIST_END:
            if events[i].type == EVENT_PHONEME:
                # The string has room for eight bytes, so a long one may end inside a character.
                name = events[i].id.string.decode("utf-8", "ignore").translate(MARKS)
                self._phones.append((events[i].audio_position / 1000, name))
            i += 1
        return 0

    def say(self, text: str, language: str, variant: str, **parameters: int) -> Spoken:
        """Speak `text`; `parameters` are rate, pitch and range. Raises ValueError for an unknown voice."""
        if self._library.espeak_SetVoiceByName(f"{language}+{variant}".encode()):
            raise ValueError(f"espeak-ng has no voice {language}+{variant}")
        for name, value in parameters.items():
            self._library.espeak_SetParameter(PARAMETERS[name], value, 0)
        self._samples, self._phones = [], []
        data = text.encode() + b"\0"
        self._library.espeak_Synth(data, len(data), 0, 1, 0, CHARS_UTF8, None, None)
        samples = np.concatenate(self._samples) if self._samples else np.zeros(0, np.float32)
        return Spoken(samples, tuple(self._phones))
