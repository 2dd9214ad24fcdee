"""How long recordings are heard: practice clips joined with pauses, whole in windows, cut at pauses, and with phrases.

    python -m tests.benchmarks.long_recordings                       # the ready-made model and the en-US test clips
    python -m tests.benchmarks.long_recordings --locale de-DE --model RUN/model
    python -m tests.benchmarks.long_recordings --hour                # an hour from disk: seconds, and memory above all

The windows are of 34 s with 4 s of overlap, cut by the clock.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.benchmarks.heard_clips import Heard, joined_clips
from trainer.models.beam_search import BeamDecoder
from trainer.models.decoding import greedy, text_of
from trainer.models.inference import LONGEST_PIECE, Decoder, Transcriber, _Stretch, clip_seconds, logits_of
from trainer.models.listening_precision import listening_precision
from trainer.settings import Settings
from trainer.speech.audio import SAMPLE_RATE, AudioLimits, load_audio, to_wav
from trainer.speech.pauses import Piece, overlap_for


def in_windows(heard: Heard, sound: np.ndarray) -> str:
    """The text where windows of 34 s are cut by the clock."""
    checkpoint = heard.checkpoint
    most = int(LONGEST_PIECE * SAMPLE_RATE) // checkpoint.stride * checkpoint.stride
    overlap, stretch, start = overlap_for(most, checkpoint.stride), _Stretch(checkpoint), 0
    while True:
        end = min(start + most, len(sound))
        last = end == len(sound)
        piece = Piece(start, sound[start:end], overlap if start else 0, 0 if last else overlap)
        stretch.add(piece, logits_of(checkpoint, piece.samples).numpy())
        if last:
            return text_of(greedy(stretch.settled(ended=True)[0], checkpoint.vocabulary), checkpoint.vocabulary)
        start = end - overlap


def compare(heard: Heard) -> None:
    """Print the table."""
    examples = heard.dataset.test
    sound, said = joined_clips(examples)
    taught = clip_seconds(example.seconds for example in heard.dataset.train)
    print(
        f"{len(examples)} clips, {len(sound) / SAMPLE_RATE:.0f} s; nine of ten training clips have {taught} s at most"
    )
    vocabulary = heard.checkpoint.vocabulary
    phrases = BeamDecoder(vocabulary, heard.knowledge())
    print("| heard | WER | CER | seconds |\n|---|---|---|---|")

    def row(name: str, texts: list[str], hypotheses: list[str], seconds: float) -> None:
        rates = heard.rates(texts, hypotheses)
        print(f"| {name} | {rates.wer:.1%} | {rates.cer:.1%} | {seconds:.1f} |", flush=True)

    started = time.perf_counter()
    text = in_windows(heard, sound)
    row("windows of 34 s", [said], [text], time.perf_counter() - started)
    pieces: list[tuple[str, float, Decoder | None]] = [
        (f"pieces of at most {seconds:g} s", seconds, None) for seconds in (30.0, 15.0, 8.0, 6.0, 5.0, 4.0)
    ]
    for name, seconds, decoder in [
        *pieces,
        ("as its notes would say", taught, None),
        ("the same, words and phrases", taught, phrases),
    ]:
        started = time.perf_counter()
        text = Transcriber(heard.checkpoint, seconds)(sound, decoder=decoder).text
        row(name, [said], [text], time.perf_counter() - started)
    started = time.perf_counter()
    rows = heard.logits("test")
    texts = [example.text for example in examples]
    row(
        "clip by clip",
        texts,
        [text_of(greedy(row, vocabulary), vocabulary) for row in rows],
        time.perf_counter() - started,
    )
    row(
        "clip by clip, words and phrases",
        texts,
        [text_of(phrases(row), vocabulary) for row in rows],
        time.perf_counter() - started,
    )


def an_hour(heard: Heard, minutes: float) -> None:
    """Print how long it takes, and how much more memory than a clip of a few seconds."""
    sound, said = joined_clips(heard.dataset.test)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "hour.wav"
        times = int(minutes * 60 * SAMPLE_RATE / len(sound)) + 1
        file.write_bytes(to_wav(np.tile(sound, times)))
        vocabulary = heard.checkpoint.vocabulary
        decoder = BeamDecoder(vocabulary, heard.knowledge())
        quick = listening_precision(Settings.from_env().data_dir).name == "bf16"
        checkpoint = heard.checkpoint.quickened() if quick else heard.checkpoint
        listen = Transcriber(checkpoint, clip_seconds(example.seconds for example in heard.dataset.train))
        listen(sound[: 16 * SAMPLE_RATE], decoder=decoder)
        Path("/proc/self/clear_refs").write_text("5")  # the peak so far was that of making the file
        before = _peak()
        started = time.perf_counter()
        samples = load_audio(file, AudioLimits(seconds=1e5, size_bytes=2**30, work_seconds=1e4), on_disk=True).samples
        decoded = time.perf_counter() - started
        words = 0
        for piece in listen.pieces(samples, decoder=decoder):
            words += len(piece.words)
    print(
        f"{len(samples) / SAMPLE_RATE / 60:.0f} minutes: decoded in {decoded:.1f} s, heard in "
        f"{time.perf_counter() - started - decoded:.0f} s, {words} words of {times * len(said.split())}; "
        f"{_peak() - before:.0f} MB more at its peak"
    )


def _peak() -> float:
    """MB of this process's memory at its largest: what is mapped of a file is among it."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--locale", default="en-US")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--hour", action="store_true")
    parser.add_argument("--minutes", type=float, default=60.0)
    given = parser.parse_args()
    heard = Heard.open(given.locale, given.model)
    if given.hour:
        an_hour(heard, given.minutes)
    else:
        compare(heard)


if __name__ == "__main__":
    main()
