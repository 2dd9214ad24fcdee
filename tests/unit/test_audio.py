"""Whatever file a person brings becomes mono 16 kHz sound or a sentence, in little time and memory."""

import io
import json
import os
import struct
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from tests.benchmarks import decode_hardcases
from tests.conftest import SPEECH
from trainer.errors import UserError
from trainer.speech import audio
from trainer.speech.audio import SAMPLE_RATE, AudioLimits, is_silent, load_audio, to_wav
from trainer.speech.av_decoder import TooMuchWork, Undecodable, container_blocks

TABLE = SPEECH / "hardcases" / "files.tsv"
HARDCASES = [row.split("\t")[0] for row in TABLE.read_text().splitlines()[1:]] if TABLE.is_file() else ["any"]


def sine(seconds: float, rate: int, pitch: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * pitch * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def encoded(samples: np.ndarray, rate: int, form: str = "WAV", subtype: str | None = None) -> bytes:
    target = io.BytesIO()
    soundfile.write(target, samples, rate, format=form, subtype=subtype)
    return target.getvalue()


def webm(seconds: int, volume: float = 1.0) -> bytes:
    """Opus in WebM as browsers record it: eight packets, a second in all, over and over."""
    av = pytest.importorskip("av")
    target = io.BytesIO()
    with av.open(target, "w", format="webm") as file:
        stream = file.add_stream("libopus", rate=48_000, layout="mono", options={"frame_duration": "120"})
        frame = av.AudioFrame.from_ndarray((volume * sine(1.2, 48_000) * 32767).astype("<i2")[None], "s16", "mono")
        frame.sample_rate, frame.pts = 48_000, 0
        packets = [bytes(packet) for packet in stream.encode(frame)][1:9]
        for number in range(round(seconds / 0.12)):
            packet = av.Packet(packets[number % len(packets)])
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = number * 120
            file.mux(packet)
    return target.getvalue()


def measured(folder: Path) -> dict[str, float]:
    """The figures of decoding all files of a folder in a process of its own."""
    script = [sys.executable, decode_hardcases.__file__, str(folder)]
    return dict(json.loads(subprocess.run(script, capture_output=True, check=True, timeout=120).stdout))


@pytest.mark.parametrize("name", HARDCASES)
def test_hard_cases_are_decoded_or_refused_in_a_sentence(name: str, speech: Path) -> None:
    try:
        sound = load_audio(speech / "hardcases" / name)
    except UserError as error:
        assert error.what.endswith(".") and error.todo.endswith(".")
        assert "/" not in str(error) and "Error" not in str(error)
    else:
        assert sound.samples.dtype == np.float32 and sound.samples.ndim == 1 and len(sound.samples)
        assert np.isfinite(sound.samples).all()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured by Linux's /proc")
def test_no_hard_case_takes_long_or_much_memory(speech: Path) -> None:
    figures = measured(speech / "hardcases")
    assert figures["decoded"] >= 83
    assert figures["slowest_seconds"] < 30  # hangs; how long it takes is told by tests.benchmarks.decode_hardcases
    assert figures["memory_mb"] < 300


def test_no_file_takes_more_work_than_is_allowed() -> None:
    """Of a processor, so that a busy machine refuses nothing; the decoder's own process has the same limit."""
    studio = encoded(sine(2.0, 384_000), 384_000, "FLAC")
    assert load_audio(studio).seconds == pytest.approx(2.0, abs=0.01)
    with pytest.raises(UserError, match="takes too long to decode"):
        load_audio(studio, AudioLimits(work_seconds=0.0))
    an_hour = webm(3600)
    with pytest.raises(TooMuchWork):
        for _ in container_blocks(an_hour, 1, sound_seconds=0):
            pass


def test_sound_earns_more_work() -> None:
    """So that a limit that is small enough for a damaged file does not cut a long one short."""
    limits = AudioLimits(seconds=3600.0, work_seconds=0.5)
    assert load_audio(webm(1500), limits).seconds == pytest.approx(1500, abs=0.1)


def broken_frames(size: int) -> bytes:
    """AAC frames of a header and nothing else: each is a reason for FFmpeg to go on to the next."""
    return b"\xff\xf1\x50\x80\x00\xff\xfc" * (size // 7)


def lost_frames(size: int) -> bytes:
    """An MP3 of a few frames, and then headers of frames that cannot be: libmpg123 looks for the next one for ever."""
    return encoded(sine(1.0, 16_000), 16_000, "MP3")[:2000] + b"\xff\xe2\x00" * (size // 3)


@pytest.mark.parametrize("damaged", [broken_frames(40 * 2**20), lost_frames(4 * 2**20)], ids=["aac", "mp3"])
def test_a_damaged_file_that_no_sound_comes_of_is_given_up(damaged: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long before its end, also where it never comes to the point of giving out sound."""
    opened: list[audio._Bytes] = []

    class Noted(audio._Bytes):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            opened.append(self)

    monkeypatch.setattr(audio, "_Bytes", Noted)
    with pytest.raises(UserError, match="takes too long to decode"):
        load_audio(damaged, AudioLimits(work_seconds=0.1))
    assert all(file.tell() < len(damaged) / 2 for file in opened)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured by Linux's /proc")
def test_small_files_that_unfold_to_hours_are_refused_early(tmp_path: Path) -> None:
    (tmp_path / "four_hours.flac").write_bytes(encoded(np.zeros(4 * 3600 * 8000, np.int16), 8000, "FLAC"))
    (tmp_path / "four_hours.webm").write_bytes(webm(4 * 3600, volume=0))
    for file in tmp_path.iterdir():
        with pytest.raises(UserError, match="longer than 5 minutes"):
            load_audio(file)
    figures = measured(tmp_path)
    assert figures["refused"] == 2
    assert figures["slowest_seconds"] < 30  # hangs; how long it takes is told by tests.benchmarks.decode_hardcases
    assert figures["memory_mb"] < 150


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_on_disk_are_the_same_samples_in_a_file_that_nobody_sees(rate: int) -> None:
    data = encoded(sine(20, rate), rate)
    before = set(Path(tempfile.gettempdir()).iterdir())
    mapped = load_audio(data, on_disk=True).samples
    assert isinstance(mapped, np.memmap) and not mapped.flags.writeable
    assert not {path for path in set(Path(tempfile.gettempdir()).iterdir()) - before if path.is_file()}
    assert np.array_equal(mapped, load_audio(data).samples) and not is_silent(mapped)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 192_000])
def test_resampling_keeps_pitch_length_and_level(rate: int) -> None:
    sound = load_audio(encoded(sine(2, rate), rate))
    assert (sound.source_rate, sound.seconds) == (rate, pytest.approx(2, abs=1e-3))
    spectrum = np.abs(np.fft.rfft(sound.samples))
    assert spectrum.argmax() * SAMPLE_RATE / len(sound.samples) == pytest.approx(440, abs=1)
    assert np.abs(sound.samples[1000:-1000]).max() == pytest.approx(0.5, abs=0.01)


def test_resampling_is_librosas() -> None:
    import librosa

    noise = np.random.default_rng(0).normal(0, 0.1, 500_000).astype(np.float32)  # longer than one block
    ours = load_audio(encoded(noise, 44_100, subtype="FLOAT")).samples
    theirs = librosa.resample(noise, orig_sr=44_100, target_sr=SAMPLE_RATE, res_type="soxr_hq")
    assert abs(len(ours) - len(theirs)) <= 1
    shorter = min(len(ours), len(theirs))
    np.testing.assert_allclose(ours[:shorter], theirs[:shorter], atol=1e-5)


@pytest.mark.parametrize(
    ("container", "codec"), [("mp2", "mp2"), ("mpegts", "mp2"), ("adts", "aac"), ("wv", "wavpack")]
)
def test_what_ffmpeg_calls_otherwise_is_decoded_too(container: str, codec: str) -> None:
    """A file says which kind of sound it holds, and FFmpeg which of several decoders of that kind it takes."""
    file = io.BytesIO()
    tone = (9000 * np.sin(np.arange(48_000) / 24)).astype("<i2")
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
        frame.sample_rate = 48_000
        resampler = av.AudioResampler(stream.format, "mono", 48_000, stream.codec_context.frame_size or None)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    sound = load_audio(file.getvalue())
    assert sound.seconds == pytest.approx(1.0, abs=0.1) and np.abs(sound.samples).max() > 0.1


def test_blocks_of_an_mp3_join_without_a_click() -> None:
    data = encoded(sine(20, SAMPLE_RATE), SAMPLE_RATE, "MP3")
    whole, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    np.testing.assert_allclose(load_audio(data).samples, whole, atol=1e-6)


def test_channels_are_averaged_unless_they_cancel() -> None:
    low, high = sine(1, SAMPLE_RATE, 300), sine(1, SAMPLE_RATE, 700)
    both = load_audio(encoded(np.stack([low, high], 1), SAMPLE_RATE, subtype="FLOAT")).samples
    np.testing.assert_allclose(both, (low + high) / 2, atol=1e-6)
    one = load_audio(encoded(np.stack([low, 0 * low], 1), SAMPLE_RATE, subtype="FLOAT")).samples
    np.testing.assert_allclose(one, low / 2, atol=1e-6)
    opposite = load_audio(encoded(np.stack([-0.9 * low, low], 1), SAMPLE_RATE, subtype="FLOAT")).samples
    np.testing.assert_allclose(opposite, low, atol=1e-6)


@pytest.mark.parametrize("data", [encoded(sine(4, 16_000), 16_000), webm(4)], ids=["wav", "webm"])
def test_a_file_cut_off_gives_what_is_there(data: bytes) -> None:
    sound = load_audio(data[: len(data) // 2])
    assert 1 < sound.seconds < 3
    assert not is_silent(sound.samples)


def test_samples_that_are_no_numbers_are_silence() -> None:
    samples = sine(1, SAMPLE_RATE)
    samples[100:103] = np.nan, np.inf, -np.inf
    sound = load_audio(encoded(samples, SAMPLE_RATE, subtype="FLOAT")).samples
    assert np.isfinite(sound).all() and not sound[100:103].any() and sound[103] == samples[103]


@pytest.mark.parametrize(
    ("source", "what"),
    [
        (b"", "empty"),
        (b"this is no sound at all" * 50, "cannot find any sound"),
        (encoded(sine(0.1, 16_000), 16_000)[:44], "cannot find any sound"),  # a header and nothing else
        (encoded(np.zeros((100, 33)), 16_000), "33 channels"),
        (encoded(sine(1, 900), 900), "900 Hz"),
        (encoded(sine(31, 8_000), 8_000), "longer than 30 seconds"),
        (bytes(2**20 + 1), "larger than 1 MB"),
        ("/no/such/file.wav", "cannot open"),
        ("/", "cannot open"),
        ("/dev/zero", "cannot open"),
        ("a\0b", "cannot open"),
    ],
)
def test_refusals_say_why_and_name_no_path(source: bytes | str, what: str) -> None:
    with pytest.raises(UserError, match=what) as caught:
        load_audio(source, AudioLimits(seconds=30, size_bytes=2**20))
    assert "/" not in str(caught.value)


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "recording.wav")
    with pytest.raises(UserError, match="cannot open"):
        load_audio(tmp_path / "recording.wav")


def test_headers_are_not_believed() -> None:
    data = bytearray(encoded(sine(1, 16_000), 16_000))
    data[40:44] = b"\xff\xff\xff\x7f"  # two GB of samples to come
    assert load_audio(bytes(data)).seconds == pytest.approx(1, abs=0.01)
    data[22:24] = b"\xff\xff"  # 65,535 channels
    with pytest.raises(UserError):
        load_audio(bytes(data))


PLAYLISTS = {
    "concat": "ffconcat version 1.0\nfile canary.wav\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{folder}/canary.wav\n#EXT-X-ENDLIST\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_opens_no_other_file(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    av = pytest.importorskip("av")
    (tmp_path / "canary.wav").write_bytes(encoded(sine(1, 16_000), 16_000))
    monkeypatch.chdir(tmp_path)
    data = PLAYLISTS[kind].format(folder=tmp_path).encode()
    if kind == "concat":  # what PyAV does with it unless it is told otherwise
        assert sum(frame.samples for frame in av.open(io.BytesIO(data)).decode(audio=0)) == 16_000
    with pytest.raises(UserError, match="cannot find any sound"):
        load_audio(data)


def test_a_file_that_crashes_the_decoder_crashes_a_process_of_its_own() -> None:
    labels = struct.pack(">III", 0, 0, 2) + struct.pack(">II3f", 3, 0, 0, 0, 0) * 2  # two centre channels
    parts = {
        b"desc": struct.pack(">d4sIIIII", 48e3, b"lpcm", 0, 4, 1, 2, 16),
        b"chan": labels,
        b"data": bytes(4004),
    }
    caf = b"caff\0\1\0\0" + b"".join(name + struct.pack(">q", len(part)) + part for name, part in parts.items())
    with pytest.raises(Undecodable):  # PyAV 18.1 aborts: "double free". Should this decode one day, all the better
        list(container_blocks(caf))
    assert load_audio(caf).seconds > 0  # libsndfile reads it


def test_what_a_browser_plays_is_what_was_decoded() -> None:
    samples = sine(1, SAMPLE_RATE)
    assert np.abs(load_audio(to_wav(samples)).samples - samples).max() < 1e-4
    loud, rate = soundfile.read(io.BytesIO(to_wav(samples * 4, 8000)))
    assert rate == 8000 and np.abs(loud).max() == pytest.approx(1, abs=1e-3)
    assert len(to_wav(samples[:0])) == 44


def test_silence_is_told_from_quiet_speech() -> None:
    rng = np.random.default_rng(0)
    dither = (rng.integers(-1, 2, 80_000) / 32768).astype(np.float32)
    assert is_silent(np.zeros(0, np.float32)) and is_silent(np.zeros(80_000, np.float32))
    assert is_silent(dither + np.float32(0.3))  # a constant offset is not heard
    dither[40_000:44_000] += 0.002 * sine(0.25, SAMPLE_RATE)  # -60 dBFS for a quarter of a second
    assert not is_silent(dither)
