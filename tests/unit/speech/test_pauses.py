"""Where long recordings are cut: at pauses where there are some, and nothing that is said is left out or doubled."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from trainer.speech.pauses import KEPT_SECONDS, Piece, cut, overlap_for

RATE = 16_000
STRIDE = 320


def speech(seconds: float, seed: int = 0, level: float = 0.1) -> np.ndarray:
    """Noise that swells and ebbs as syllables do, four a second, never for long below a tenth."""
    rng, size = np.random.default_rng(seed), int(seconds * RATE)
    swell = 0.3 + 0.7 * np.abs(np.sin(np.pi * 4 * np.arange(size) / RATE))
    return (level * swell * rng.standard_normal(size)).astype(np.float32)


def hush(seconds: float, seed: int = 0, level: float = 0.001) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(int(seconds * RATE))).astype(np.float32)


def talk(lengths: list[float], pause: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Phrases of these lengths with pauses, and a mask of what is said."""
    parts, said = [hush(pause)], [np.zeros(int(pause * RATE), bool)]
    for number, seconds in enumerate(lengths):
        parts += [speech(seconds, number), hush(pause, number)]
        said += [np.ones(len(parts[-2]), bool), np.zeros(len(parts[-1]), bool)]
    return np.concatenate(parts), np.concatenate(said)


def times_heard(pieces: list[Piece], samples: int) -> np.ndarray:
    """How often each sample is in a piece, of an overlap each half once."""
    count = np.zeros(samples, int)
    for piece in pieces:
        count[piece.start + piece.before // 2 : piece.end - piece.after // 2] += 1
    return count


def test_phrases_are_cut_apart_and_packed() -> None:
    sound, said = talk([1.5, 1.0, 2.0, 3.0, 1.2, 0.8, 2.5])
    pieces = list(cut(sound, 5 * RATE, STRIDE))
    assert not any(piece.before or piece.after for piece in pieces)
    assert all(len(piece.samples) <= 5 * RATE for piece in pieces) and len(pieces) == 5
    count = times_heard(pieces, len(sound))
    assert (count[said] == 1).all() and count.max() == 1
    for piece in pieces:
        assert np.array_equal(piece.samples, sound[piece.start : piece.end])


def test_a_talk_without_pauses_is_heard_with_overlaps_of_whole_strides() -> None:
    sound = speech(23.0)
    most = 5 * RATE
    pieces = list(cut(sound, most, STRIDE))
    assert len(pieces) > 5 and pieces[0].before == 0 == pieces[-1].after
    for piece, following in itertools.pairwise(pieces):
        assert piece.after == following.before == overlap_for(most, STRIDE) == piece.end - following.start
        assert following.start % STRIDE == 0 and piece.after % (2 * STRIDE) == 0 and len(piece.samples) <= most
    assert (times_heard(pieces, len(sound)) == 1).all()


@pytest.mark.parametrize("seed", range(6))
def test_nothing_that_is_said_is_lost_or_doubled(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sound, said = talk([float(length) for length in rng.uniform(0.3, 12.0, 12)], float(rng.uniform(0.2, 1.5)))
    for seconds in (5, 15):
        pieces = list(cut(sound, seconds * RATE, STRIDE))
        count = times_heard(pieces, len(sound))
        assert (count[said] == 1).all() and count.max() == 1
        assert all(len(piece.samples) <= seconds * RATE for piece in pieces)


def test_quiet_words_beside_loud_ones_are_kept() -> None:
    quiet = speech(2.0, 1, level=0.008)  # 22 dB below the loud ones, and 18 above the noise
    sound = np.concatenate([hush(0.5), speech(4.0), hush(0.6), quiet, hush(0.6), speech(4.0, 2), hush(0.5)])
    start = int((0.5 + 4.0 + 0.6) * RATE)
    count = times_heard(list(cut(sound, 5 * RATE, STRIDE)), len(sound))
    assert (count[start : start + len(quiet)] == 1).all()


def test_of_long_pauses_only_the_edges_are_heard() -> None:
    sound = np.concatenate([speech(3.0), hush(90.0), speech(3.0, 1)])
    pieces = list(cut(sound, 5 * RATE, STRIDE))
    heard = sum(len(piece.samples) for piece in pieces) / RATE
    assert len(pieces) == 2 and heard < 6 + 4 * KEPT_SECONDS
    assert pieces[1].start <= 93 * RATE < pieces[1].end == len(sound)


def test_it_does_not_matter_in_what_blocks_it_comes() -> None:
    sound, _ = talk([3.0, 14.0, 1.0, 2.0, 9.0, 0.5, 4.0] * 3)

    def blocks(size: int) -> Iterator[np.ndarray]:
        for start in range(0, len(sound), size):
            yield sound[start : start + size]

    whole = list(cut(sound, 5 * RATE, STRIDE))
    for size in (777, 16_000, 262_144):
        other = list(cut(blocks(size), 5 * RATE, STRIDE))
        assert [(p.start, p.end, p.before, p.after) for p in other] == [
            (p.start, p.end, p.before, p.after) for p in whole
        ]
        assert all(np.array_equal(a.samples, b.samples) for a, b in zip(other, whole, strict=True))


def test_an_hour_in_blocks_is_never_held_as_a_whole() -> None:
    kept: list[int] = []

    def blocks() -> Iterator[np.ndarray]:
        block = np.concatenate([speech(3.0), hush(0.5)])
        for _ in range(600):
            yield block

    for piece in cut(blocks(), 5 * RATE, STRIDE):
        base = piece.samples.base
        kept.append(base.size if isinstance(base, np.ndarray) else piece.samples.size)
    assert len(kept) >= 600 and max(kept) < 90 * RATE


@pytest.mark.parametrize("samples", [0, 1, 159, 5 * RATE])
def test_what_is_short_is_one_piece_as_it_is(samples: int) -> None:
    sound = hush(6.0)[:samples]
    pieces = list(cut(sound, 5 * RATE, STRIDE))
    assert [(piece.start, len(piece.samples)) for piece in pieces] == ([(0, samples)] if samples else [])
