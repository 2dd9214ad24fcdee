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
