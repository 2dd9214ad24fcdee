"""Sound in: bytes or a path, of almost any format, become mono float32 at 16 kHz. Nothing else here decodes audio.

Limits hold while decoding, block by block: what a header says is never believed, and of a small file that
unfolds to hours no more is ever in memory than the limit allows.
"""

import io
import os
import stat
import tempfile
import time
import wave
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import soundfile
import soxr

from trainer.errors import UserError
from trainer.speech.av_decoder import WORK_A_SECOND, NoAudioStream, TooMuchWork, Undecodable, container_blocks

SAMPLE_RATE = 16_000  # Hz; what every model here was pretrained on
_BLOCK = 2**18 // 1600 * 1600  # samples over all channels read at once: 1 MiB of float32, tenths of a second
_LOUDEST = 2.0**15  # some programs store 16-bit values in float files; beyond that it is no sound
# RMS of the loudest tenth of a second: -80 dBFS, three steps of 16-bit audio. The quietest real speech that we
# have reaches -58 dBFS; silence from a muted microphone, dithered or through a codec, stays below -98 dBFS.
_SILENCE = 1e-4
# How the files begin that libsndfile is trusted with; MP3 frames besides. Its decoders of rarer formats are
# little tested, and the one for MIDI sample dumps prints to standard output. PyAV gets the rest, apart from us.
_LIBSNDFILE = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b"fLaC", b"OggS", b"caff", b".snd", b"NIST", b"ID3")
_Blocks = Generator[tuple[int, np.ndarray]]  # sample rate in Hz; float32 of shape (frames, channels)
_OTHER_FILE = "Choose a WAV, FLAC, MP3, M4A, OGG or WebM file."


@dataclass(frozen=True)
class AudioLimits:
    """What is decoded at most. The rates span telephone experiments (1 kHz) to studio masters (384 kHz)."""

    seconds: float = 300.0
    size_bytes: int = 50 * 2**20
    channels: int = 32
    lowest_rate: int = 1_000
    highest_rate: int = 384_000
    # Of one processor, for which no sound need come: each second of sound that does come adds WORK_A_SECOND.
    work_seconds: float = 30.0


@dataclass(frozen=True, eq=False)
class Sound:
    """`samples`: mono float32, shape (n,), at 16 kHz, all finite. `source_rate`: Hz, as it was recorded."""

    samples: np.ndarray
    source_rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


class TooLongError(UserError):
    """A recording with more seconds than the limits allow; nothing else is wrong with it so far."""


def load_audio(source: bytes | str | Path, limits: AudioLimits | None = None, on_disk: bool = False) -> Sound:
    """Decode a sound; a damaged or cut off file gives the sound up to the damage.

    Several channels are averaged, or, where they cancel one another, the loudest is taken. `on_disk`: the samples are
    mapped from a temporary file, which is gone once they are, so that an hour takes no memory. Raises UserError for
    whatever a person's file can be: no sound, none of it readable, too long, too large.
    """
    limits = limits or AudioLimits()
    data = source if isinstance(source, bytes) else _read(Path(source), limits)
    if not data:
        raise UserError("That file is empty.", "Record or export it again.")
    if len(data) > limits.size_bytes:
        size = limits.size_bytes // 2**20
        raise UserError(f"That file is larger than {size} MB.", "Choose a shorter recording, or export it as MP3.")
    work = _Work(limits.work_seconds)
    mono = _decode(data, limits, work, on_disk)
    if (channel := mono.cancelled()) is not None:
        mono = _decode(data, limits, work, on_disk, channel)
    return Sound(mono.samples(), mono.rate)


def to_wav(samples: np.ndarray, rate: int = SAMPLE_RATE) -> bytes:
    """16-bit PCM WAV of mono samples (n,), for playing in a browser."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(to_16_bit(samples).astype("<i2").tobytes())
    return target.getvalue()


def to_16_bit(samples: np.ndarray) -> np.ndarray:
    """float32 as int16; what a 16-bit file holds comes out unchanged, what would clip is made quieter."""
    peak = max(1.0, float(np.abs(samples).max(initial=0.0)))
    return np.rint(samples * (32768.0 / peak)).clip(-32768, 32767).astype(np.int16)


def from_16_bit(samples: np.ndarray) -> np.ndarray:
    """int16 as float32 in [-1, 1]."""
    return samples.astype(np.float32) / 32768.0


def is_silent(samples: np.ndarray) -> bool:
    """True where mono samples (n,) at 16 kHz are so quiet throughout that no speech can be in them."""
    if not len(samples):
        return True
    mean = samples.mean(dtype=np.float64)  # a constant offset makes no sound
    return all(
        _loudest_tenth(samples[start : start + _BLOCK] - mean) < _SILENCE for start in range(0, len(samples), _BLOCK)
    )


def _loudest_tenth(level: np.ndarray) -> float:
    """The RMS of the loudest tenth of a second."""
    starts = np.arange(0, len(level), SAMPLE_RATE // 10)
    lengths = np.diff(starts, append=len(level))
    return float(np.sqrt((np.add.reduceat(level**2, starts) / lengths).max()))


def _read(path: Path, limits: AudioLimits) -> bytes:
    """The bytes of a regular file: opening a folder, a device or a pipe could hang or never end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):  # of what is open: a path could change in between
                with open(descriptor, "rb", closefd=False) as file:
                    return file.read(limits.size_bytes + 1)
        finally:
            os.close(descriptor)
    except (OSError, ValueError):  # ValueError: a path with a null character
        pass
    raise UserError("I cannot open that file.", "Choose it again, or record a new one.")


class _Work:
    """What is left of the processor's time that one file may take.

    Sound earns more of it: a long recording may take long, and a damaged file that nothing comes of may not.
    """

    def __init__(self, seconds: float) -> None:
        self._until = time.thread_time() + seconds

    @property
    def left(self) -> float:
        """In seconds; negative where it is used up."""
        return self._until - time.thread_time()

    def earn(self, sound_seconds: float) -> None:
        """Go on for a little longer, since so much sound has come. Raises TooMuchWork where that is too late."""
        if self.left < 0:
            raise TooMuchWork
        self._until += WORK_A_SECOND * sound_seconds


class _Mono:
    """Gathers blocks of any rate and number of channels as one channel at 16 kHz, within limits, in memory or in a
    temporary file."""

    def __init__(self, limits: AudioLimits, work: _Work, on_disk: bool, channel: int | None) -> None:
        self.rate = 0  # Hz; the first block's
        self.seconds = 0.0
        self._limits, self._work, self._channel = limits, work, channel
        self._current_rate, self._stream = 0, cast(Any, None)
        self._parts: list[np.ndarray] = []
        self._file = tempfile.TemporaryFile() if on_disk else None  # noqa: SIM115 - the samples are mapped from it
        self._channel_energy = np.zeros(limits.channels)
        self._mean_energy = 0.0
        self._widest = 0  # channels

    def add(self, rate: int, block: np.ndarray) -> None:
        """Take `block`, float32 of shape (frames, channels). Raises UserError where a limit is passed."""
        frames, channels = block.shape
        limits = self._limits
        if channels > limits.channels:
            what = f"That recording has {channels} channels; I can mix up to {limits.channels}."
            raise UserError(what, "Export it as mono or stereo.")
        if not limits.lowest_rate <= rate <= limits.highest_rate:
            what = f"That recording has a sample rate of {rate} Hz, which I cannot use."
            raise UserError(what, "Export it at 16000 Hz.")
        self._work.earn(frames / rate)
        self.seconds += frames / rate
        if self.seconds > limits.seconds:
            what = f"That recording is longer than {_in_words(limits.seconds)}."
            raise TooLongError(what, "Cut it, or choose a shorter one.")
        # One NaN would make a whole transcription NaN; as a zero it is a click at most.
        block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0).clip(-_LOUDEST, _LOUDEST)
        mean = block.mean(axis=1) if self._channel is None else block[:, min(self._channel, channels - 1)]
        self._channel_energy[:channels] += np.square(block, dtype=np.float64).sum(axis=0)
        self._mean_energy += float(np.square(mean, dtype=np.float64).sum())
        self._widest = max(self._widest, channels)
        self._resample(rate, mean)

    def cancelled(self) -> int | None:
        """The loudest channel, where averaging has lost the sound, as with two channels in opposite phase.

        The loudest of n channels alone would leave 1/n² of its energy in the average. A tenth of that means
        that the others took it away.
        """
        if self._widest < 2 or self._channel is not None:
            return None
        loudest = int(self._channel_energy.argmax())
        return loudest if self._mean_energy < 0.1 * self._channel_energy[loudest] / self._widest**2 else None

    def samples(self) -> np.ndarray:
        """All of it: float32 of shape (n,) at 16 kHz."""
        self._flush()
        if self._file is not None and self._file.tell():
            with self._file:
                self._file.flush()
                return np.memmap(self._file, np.float32, "r")
        return np.concatenate(self._parts) if self._parts else np.zeros(0, np.float32)

    def _keep(self, part: np.ndarray) -> None:
        if self._file is None:
            self._parts.append(part)
        else:
            self._file.write(part.tobytes())

    def _resample(self, rate: int, mono: np.ndarray) -> None:
        if rate != self._current_rate:
            self._flush()
            self.rate, self._current_rate = self.rate or rate, rate
            # librosa's "soxr_hq" by the library behind it, as a stream: five minutes at 384 kHz never lie in memory,
            # while librosa's first use loads numba and scipy (200 MB, 2 s). HQ keeps 20 bits; recordings have 16.
            self._stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, "float32", "HQ")
        mono = np.ascontiguousarray(mono, np.float32)
        self._keep(mono if rate == SAMPLE_RATE else self._stream.resample_chunk(mono))

    def _flush(self) -> None:
        """Take what the resampler still holds back."""
        if self._stream is not None and self._current_rate != SAMPLE_RATE:
            self._keep(self._stream.resample_chunk(np.zeros(0, np.float32), last=True))
        self._stream, self._current_rate = None, 0


def _decode(data: bytes, limits: AudioLimits, work: _Work, on_disk: bool, channel: int | None = None) -> _Mono:
    """Decode by libsndfile, else by PyAV; where both meet damage, what goes further."""
    best: _Mono | None = None
    pictures = False
    for blocks in (_soundfile_blocks, _av_blocks):
        mono = _Mono(limits, work, on_disk, channel)
        whole = True
        try:
            with closing(blocks(data, limits, work)) as found:
                for rate, block in found:
                    mono.add(rate, block)
        except Undecodable as error:
            whole, pictures = False, isinstance(error, NoAudioStream)
        except TooMuchWork:
            raise UserError("That file takes too long to decode.", "Export it as WAV at 16000 Hz, mono.") from None
        if best is None or mono.seconds > best.seconds:
            best = mono
        if whole and best.seconds:
            break
    assert best is not None
    if best.seconds:
        return best
    if pictures:
        raise UserError("That file has no sound track.", "Choose a recording or a video with sound.")
    raise UserError("I cannot find any sound in that file.", _OTHER_FILE)


class _OneWay(soundfile.SoundFile):
    """A sound file that is only read forwards.

    soundfile seeks after each read of a file that can seek, which makes an MP3 decoder lose its state: up to
    0.02 of full scale wrong at each block's start.
    """

    def seekable(self) -> bool:
        return False


class _Bytes(io.BytesIO):
    """Bytes in which a damaged header may seek anywhere: soundfile's callbacks cannot raise.

    They end where the work does, so that a header which is read for ever is not.
    """

    def __init__(self, data: bytes, work: _Work) -> None:
        super().__init__(data)
        self._work = work

    def readinto(self, buffer: Any, /) -> int:
        return super().readinto(buffer) if self._work.left >= 0 else 0

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return self.tell()


def _soundfile_blocks(data: bytes, limits: AudioLimits, work: _Work) -> _Blocks:
    mp3_frame = len(data) > 1 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2  # sync bits, layer III
    if not (mp3_frame or data.startswith(_LIBSNDFILE)):
        raise Undecodable
    try:
        with _OneWay(_Bytes(data, work)) as file:
            block = np.empty((max(1, _BLOCK // file.channels), file.channels), np.float32)
            while frames := len(file.read(out=block)):
                yield file.samplerate, block[:frames]
    except soundfile.SoundFileError as error:
        raise (TooMuchWork if work.left < 0 else Undecodable) from error
    if work.left < 0:
        raise TooMuchWork


def _av_blocks(data: bytes, limits: AudioLimits, work: _Work) -> _Blocks:
    with closing(container_blocks(data, work.left, limits.seconds)) as found:
        for rate, channels, block in found:
            yield rate, np.frombuffer(block, np.float32).reshape(-1, channels)


def _in_words(seconds: float) -> str:
    """A limit as a person says it: "5 minutes", "1 minute", "90 seconds"."""
    count, unit = (seconds / 60, "minute") if seconds % 60 == 0 else (seconds, "second")
    return f"{count:g} {unit}" if count == 1 else f"{count:g} {unit}s"
