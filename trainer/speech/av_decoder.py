"""Sound out of what libsndfile cannot read (m4a, aac, webm, wma, video files …), by PyAV in a process of its own.

Invariant: whatever a file does to FFmpeg or PyAV, it does to a short-lived process that holds no secrets, may
use little memory and time, and opens nothing but the bytes it was given. This is needed: PyAV 18.1 frees a
custom channel layout twice, so a CAF file of a few hundred bytes aborts the interpreter that opens it.

This file is also that process's program, so its top imports the standard library alone.
"""

import contextlib
import io
import logging
import math
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from typing import Any

# Bytes of address space. Libraries map 170 MB of it, FFmpeg's threads (up to 16, idle) 8 MB each; the rest is for
# decoding. The file comes on top, twice: while it is read, its parts are put together.
_MEMORY = 540 * 2**20
_SECONDS = 30  # of wall clock in which no sound comes; of AAC as many minutes come
# Seconds of a processor that a second of sound may take: of AAC and MP3 it takes 0.003, at 384 kHz 0.01.
WORK_A_SECOND = 0.02
_BATCH = 2**18  # bytes of float32 sent at once
_HEADER = struct.Struct("<III")  # sample rate in Hz, channels, bytes that follow
_OUT_OF_TIME = -getattr(signal, "SIGXCPU", 0) or None  # the status where the processor's seconds are used up
_NO_AUDIO, _NO_SOUND = 3, 4  # exit statuses; Python itself uses 1 and 2
_ENVIRONMENT = ("PATH", "HOME", "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "LD_LIBRARY_PATH", "SYSTEMROOT")
# What FFmpeg may take a file for. Playlists and scripts (hls, concat, sdp, dash …), which name other files
# and addresses to open, are left out, and so is everything that no person records or exports speech in.
_FORMATS = "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,eac3,flac,flv,matroska,mov,mp3,mpegts,ogg,tta,w64,wav,wv"
# Decoders that may run. No video decoder: FFmpeg would decode pictures to learn a stream's parameters.
_CODECS = (
    "aac,aac_latm,ac3,adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,alac,amrnb,amrwb,ape,eac3,flac,gsm_ms,mp2,mp2float,mp3,"
    "mp3float,opus,pcm_alaw,pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,pcm_mulaw,pcm_s16be,pcm_s16le,pcm_s24be,pcm_s24le,"
    "pcm_s32be,pcm_s32le,pcm_s8,pcm_u8,speex,tta,vorbis,wavpack,wmalossless,wmapro,wmav1,wmav2,wmavoice"
)
_log = logging.getLogger(__name__)


class Undecodable(Exception):  # noqa: N818 - it names what the bytes are
    """The bytes are no sound, or no more of it can be decoded."""


class TooMuchWork(Exception):  # noqa: N818 - likewise
    """Decoding took more of a processor than is allowed."""


class NoAudioStream(Undecodable):
    """The file was understood, and holds pictures or data but no sound."""


def container_blocks(
    data: bytes, work_seconds: float = _SECONDS, sound_seconds: float = 300.0
) -> Generator[tuple[int, int, bytes]]:
    """Decode the first audio stream: (rate in Hz, channels, interleaved float32 samples) block by block.

    Closing the iterator early ends the process. Raises NoAudioStream or Undecodable, after the blocks that
    could be decoded, and TooMuchWork after `work_seconds` of a processor and WORK_A_SECOND more for each second of
    sound, which counts up to `sound_seconds`; both are rounded up.
    """
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    # -P keeps this folder, whose modules have everyday names, off the process's path.
    work = max(work_seconds, 0.001)
    most = math.ceil(work + WORK_A_SECOND * sound_seconds)
    command = [sys.executable, "-P", __file__, str(work), str(most), str(len(data))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment) as process:
        assert process.stdin and process.stdout
        watch = _Watch(process)
        try:
            # It reads to the end before it writes, so neither side waits for the other. If it dies, its exit
            # status says enough.
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(data)
            while len(header := process.stdout.read(_HEADER.size)) == _HEADER.size:
                rate, channels, size = _HEADER.unpack(header)
                block = process.stdout.read(size)
                if len(block) < size:
                    break
                watch.moved()
                yield rate, channels, block
                watch.moved()  # whoever takes the blocks may have taken long
            status = process.wait()
        finally:
            watch.ended()
            process.kill()
    if status == _OUT_OF_TIME:
        raise TooMuchWork
    if status == _NO_AUDIO:
        raise NoAudioStream
    if status:
        if status != _NO_SOUND:  # a crash, a limit, or an installation without PyAV
            _log.warning("a sound could not be decoded: the decoder's process ended with status %d", status)
        raise Undecodable


class _Watch:
    """Kills a process that has been still for `_SECONDS`."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process, self._over = process, threading.Event()
        self.moved()
        threading.Thread(target=self._watch, name="decoder-watch", daemon=True).start()

    def moved(self) -> None:
        """It has done something."""
        self._until = time.monotonic() + _SECONDS

    def ended(self) -> None:
        """There is nothing to watch any more."""
        self._over.set()

    def _watch(self) -> None:
        while (left := self._until - time.monotonic()) > 0:
            if self._over.wait(left):
                return
        self._process.kill()


def _main() -> int:
    """Decode standard input to standard output, as `container_blocks` reads it."""
    work = _Work(float(sys.argv[1]), int(sys.argv[2]))
    _limit_memory(int(sys.argv[3]))
    import av

    data = sys.stdin.buffer.read()
    options = {"format_whitelist": _FORMATS, "codec_whitelist": _CODECS, "protocol_whitelist": "none"}
    try:
        # Metadata is not looked at, and "strict" would raise on a title that is not UTF-8.
        file = av.open(io.BytesIO(data), "r", container_options=options, metadata_errors="replace", io_open=_refuse)
    except (av.FFmpegError, OSError):
        return _NO_SOUND
    if not file.streams.audio:
        return _NO_AUDIO
    stream = file.streams.audio[0]
    if stream.codec_context is None or stream.codec_context.name not in _CODECS.split(","):
        return _NO_SOUND
    stream.codec_context.thread_count = 1  # a minute takes 0.1 s: not worth a thread a core
    return 0 if _send_frames(av, file, stream, work) else _NO_SOUND


def _send_frames(av: Any, file: Any, stream: Any, work: "_Work") -> bool:
    """Write the stream's frames in batches; False if there were none. Packets that are damaged are passed over."""
    shape: Any = None  # of the frames: sample format, channel layout, rate
    converter: Any = None
    batch, sent = bytearray(), False

    def send() -> None:
        sys.stdout.buffer.write(_HEADER.pack(shape[2], shape[1].nb_channels, len(batch)) + batch)
        work.earn(len(batch) / (4 * shape[1].nb_channels * shape[2]))
        batch.clear()

    with contextlib.suppress(av.FFmpegError):  # cut off within a packet: what came before it counts
        for packet in file.demux(stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            for frame in frames:
                found = (frame.format.name, frame.layout, frame.sample_rate)
                if found != shape or len(batch) > _BATCH:
                    if batch:
                        send()
                    if found != shape:  # some streams change their rate or channels on the way
                        shape, converter = found, av.AudioResampler(format="flt")
                for piece in converter.resample(frame):
                    # Packed, since PyAV counts nine planes in a frame of eight; and without the plane's padding.
                    batch += memoryview(piece.planes[0])[: piece.samples * frame.layout.nb_channels * 4]
                    sent = True
    if batch:
        send()
    sys.stdout.buffer.flush()
    return sent


def _refuse(url: str, flags: int, options: dict[str, str]) -> None:
    """What FFmpeg calls to open anything besides the bytes it was given."""
    raise PermissionError("a file may not open others")


class _Work:
    """The processor's time that this process may use, where the system can limit it (not on Windows).

    `most`: whole seconds that no sound earns more than.
    """

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds, self._most = seconds, most
        self.earn(0.0)

    def earn(self, sound_seconds: float) -> None:
        """Go on for a little longer, since so much sound has come."""
        self._seconds += WORK_A_SECOND * sound_seconds
        # At the second of two limits of time the system kills, which would look like any other end.
        _limit("RLIMIT_CPU", min(self._most, math.ceil(self._seconds)), self._most + 1)


def _limit_memory(file_bytes: int) -> None:
    most = _MEMORY + 2 * file_bytes
    _limit("RLIMIT_AS", most, most)
    _limit("RLIMIT_CORE", 0, 0)


def _limit(name: str, soft: int, hard: int) -> None:
    try:
        import resource
    except ImportError:
        return
    with contextlib.suppress(ValueError, OSError):  # the system's own limit is lower, or it has none of the kind
        resource.setrlimit(getattr(resource, name), (soft, hard))


if __name__ == "__main__":
    sys.exit(_main())
