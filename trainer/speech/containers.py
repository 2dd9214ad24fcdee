"""Sound out of what libsndfile cannot read (m4a, aac, webm, wma, video files …), by PyAV in a process of its own.

Invariant: whatever a file does to FFmpeg or PyAV, it does to a short-lived process that holds no secrets, may
use little memory and time, and opens nothing but the bytes it was given. This is needed: PyAV 18.1 frees a
custom channel layout twice, so a CAF file of a few hundred bytes aborts the interpreter that opens it.

This file is also that process's program, so its top imports the standard library alone.
"""

import contextlib
import io
import logging
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Generator
from typing import Any

# Bytes of address space. Libraries map 170 MB of it, FFmpeg's threads (up to 16, idle) 8 MB each; the rest is for
# the file, twice while it is read, and for decoding.
_MEMORY = 640 * 2**20
_SECONDS = 30  # of wall clock; five minutes of AAC take under one
_BATCH = 2**18  # bytes of float32 sent at once
_HEADER = struct.Struct("<III")  # sample rate in Hz, channels, bytes that follow
_NO_AUDIO, _NO_SOUND = 3, 4  # exit statuses; Python itself uses 1 and 2
_ENVIRONMENT = ("PATH", "HOME", "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "LD_LIBRARY_PATH", "SYSTEMROOT")

# What FFmpeg may take a file for. Playlists and scripts (hls, concat, sdp, dash …), which name other files
# and addresses to open, are left out, and so is everything that no person records or exports speech in.
_FORMATS = "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,eac3,flac,flv,matroska,mov,mp3,mpegts,ogg,tta,w64,wav,wv"
# Decoders that may run. No video decoder: FFmpeg would decode pictures to learn a stream's parameters.
_CODECS = (
    "aac,aac_latm,ac3,adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,alac,amrnb,amrwb,ape,eac3,flac,gsm_ms,mp2float,mp3float,"
    "opus,pcm_alaw,pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,pcm_mulaw,pcm_s16be,pcm_s16le,pcm_s24be,pcm_s24le,"
    "pcm_s32be,pcm_s32le,pcm_s8,pcm_u8,speex,tta,vorbis,wavpack,wmalossless,wmapro,wmav1,wmav2,wmavoice"
)

_log = logging.getLogger(__name__)


class Undecodable(Exception):  # noqa: N818 - it names what the bytes are
    """The bytes are no sound, or no more of it can be decoded."""


class NoAudioStream(Undecodable):
    """The file was understood, and holds pictures or data but no sound."""


def container_blocks(data: bytes) -> Generator[tuple[int, int, bytes]]:
    """Decode the first audio stream: (rate in Hz, channels, interleaved float32 samples) block by block.

    Closing the iterator early ends the process. Raises NoAudioStream or Undecodable, after the blocks that
    could be decoded.
    """
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    # -P keeps this folder, whose modules have everyday names, off the process's path.
    command = [sys.executable, "-P", __file__]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment) as process:
        assert process.stdin and process.stdout
        deadline = threading.Timer(_SECONDS, process.kill)
        deadline.start()
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
                yield rate, channels, block
            status = process.wait()
        finally:
            deadline.cancel()
            process.kill()
    if status == _NO_AUDIO:
        raise NoAudioStream
    if status:
        if status != _NO_SOUND:  # a crash, a limit, or an installation without PyAV
            _log.warning("a sound could not be decoded: the decoder's process ended with status %d", status)
        raise Undecodable


def _main() -> int:
    """Decode standard input to standard output, as `container_blocks` reads it."""
    _limit_resources()
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
    return 0 if _send_frames(av, file, stream) else _NO_SOUND


def _send_frames(av: Any, file: Any, stream: Any) -> bool:
    """Write the stream's frames in batches; False if there were none. Packets that are damaged are passed over."""
    shape: Any = None  # of the frames: sample format, channel layout, rate
    converter: Any = None
    batch, sent = bytearray(), False

    def send() -> None:
        sys.stdout.buffer.write(_HEADER.pack(shape[2], shape[1].nb_channels, len(batch)) + batch)
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


def _limit_resources() -> None:
    """Cap memory and time, where the system can (not on Windows)."""
    try:
        import resource
    except ImportError:
        return
    limits = {resource.RLIMIT_AS: _MEMORY, resource.RLIMIT_CPU: _SECONDS, resource.RLIMIT_CORE: 0}
    for limit, most in limits.items():
        with contextlib.suppress(ValueError, OSError):  # the system's own limit is lower, or it has none of the kind
            resource.setrlimit(limit, (most, most))


if __name__ == "__main__":
    sys.exit(_main())
