"""A Whisper heard with as it is: the words of the stock pipeline, within bounds, whatever the sound."""

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer, pipeline

from tests.fakes.hearing_whisper import IDS, WINDOW, pieces, save_hearing_whisper
from tests.fakes.hub import FakeHub
from tests.fakes.sounds import say
from trainer.errors import UserError
from trainer.hub import connectivity
from trainer.models import seq2seq
from trainer.models.base_ref import HubId
from trainer.models.ctc_model import open_checkpoint
from trainer.models.inference import hearing_of
from trainer.models.model_files import read_model
from trainer.models.recognizer import Hints, open_recognizer
from trainer.models.resolve import fetch_checked, find_model
from trainer.models.seq2seq import Seq2SeqRecognizer, without_circle
from trainer.settings import Settings
from trainer.transcription.transcribe import Listening, transcribe_samples

DECODER = "model-00002-of-00002.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_hearing_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return say("hello there")[: WINDOW - 5000]


def opened(folder: Path) -> Seq2SeqRecognizer:
    recognizer = open_recognizer(read_model(folder, Settings.max_load_bytes, whole=True))
    assert isinstance(recognizer, Seq2SeqRecognizer)
    return recognizer


def text_in(folder: Path, sound: np.ndarray, language: str = "") -> str:
    return hearing_of(opened(folder).pieces(sound, hints=Hints(language=language))).text


def stock(folder: Path, sound: np.ndarray, **options: Any) -> str:
    """What transformers' own pipeline writes, greedily."""
    tokenizer = WhisperTokenizer(vocab=pieces(), merges=[])
    tokenizer.add_special_tokens({"extra_special_tokens": list(IDS)})
    assert tokenizer.convert_tokens_to_ids(list(IDS)) == list(IDS.values())
    recognise: Any = pipeline(
        "automatic-speech-recognition",
        model=WhisperForConditionalGeneration.from_pretrained(folder),
        tokenizer=tokenizer,
        feature_extractor=WhisperFeatureExtractor.from_pretrained(folder),
    )
    text: str = recognise({"raw": sound.copy(), "sampling_rate": 16_000}, generate_kwargs={"num_beams": 1, **options})[
        "text"
    ]
    return text


@pytest.mark.parametrize("language", ["en", "de"])
def test_it_writes_what_the_stock_pipeline_writes(folder: Path, sound: np.ndarray, language: str) -> None:
    expected = " ".join(stock(folder, sound, language=f"<|{language}|>", task="transcribe").split())
    assert len(expected) > 10
    assert text_in(folder, sound, language) == expected


def test_it_takes_the_language_that_the_stock_model_takes(folder: Path, sound: np.ndarray) -> None:
    """Where nobody says which one is spoken."""
    assert text_in(folder, sound) == " ".join(stock(folder, sound, task="transcribe").split())
    languages = {language: text_in(folder, sound, language) for language in ("en", "de", "zh")}
    assert len(set(languages.values())) > 1
    assert text_in(folder, sound, "fi") == text_in(folder, sound)  # which it does not know


@pytest.mark.parametrize(
    "said", [{"language": "de"}, {"language": "<|de|>"}, {"forced_decoder_ids": [[1, IDS["<|de|>"]]]}]
)
def test_a_model_that_was_set_to_a_language_hears_that_one(
    folder: Path, tmp_path: Path, sound: np.ndarray, said: dict[str, Any]
) -> None:
    other = copy(folder, tmp_path)
    change(other, "generation_config.json", **said)
    assert opened(other)._rules.own_language == "de"
    assert text_in(other, sound) == text_in(folder, sound, "de")
    assert text_in(other, sound, "en") == text_in(folder, sound, "en")


def test_an_english_only_model_is_told_no_language(folder: Path, tmp_path: Path) -> None:
    other = copy(folder, tmp_path)
    change(other, "generation_config.json", is_multilingual=False)
    rules = opened(other)._rules
    assert rules.languages == {} and rules.prompt(None) == [IDS["<|startoftranscript|>"], IDS["<|notimestamps|>"]]
    assert rules.prompt(None) != opened(folder)._rules.prompt("en")


def test_files_of_older_and_newer_versions_read_the_same(folder: Path, tmp_path: Path, sound: np.ndarray) -> None:
    assert text_in(save_hearing_whisper(tmp_path, older=True), sound, "en") == text_in(folder, sound, "en")


def test_without_generation_config_its_tokens_say_enough(folder: Path, tmp_path: Path, sound: np.ndarray) -> None:
    other = copy(folder, tmp_path)
    (other / "generation_config.json").unlink()
    rules = opened(other)._rules
    assert (rules.start, rules.end, rules.plain) == (257, 256, 265) and set(rules.languages) == {"en", "de", "zh"}
    assert hearing_of(opened(other).pieces(sound)).words is not None


def test_what_it_writes_is_bounded(folder: Path, tmp_path: Path, sound: np.ndarray) -> None:
    """By its positions, and by how much can be said in the time; whatever its files say."""
    other = copy(folder, tmp_path)
    never = json.loads((folder / "generation_config.json").read_text())["suppress_tokens"]
    change(other, "generation_config.json", max_length=10**9, suppress_tokens=[*never, IDS["<|endoftext|>"]])
    long = written_in(opened(other), sound)
    assert len(long) == 40 - 4
    short = written_in(opened(other), sound[:1600])
    assert len(short) == seq2seq.SPARE_TOKENS + round(seq2seq.TOKENS_A_SECOND * 0.1)


def test_a_circle_is_written_once() -> None:
    start, circle = [1, 2, 3], [7, 8, 9, 7, 5]
    assert without_circle(start + circle * 6) == 3 + 5
    assert without_circle([*start, *circle * 6, 1, 2]) == 3 + 30 + 2  # it ends otherwise
    assert without_circle([4] * 30) == 1 and without_circle([4] * 29) == 29
    assert without_circle(start + circle * 4) == 3 + 20  # people do repeat themselves
    assert without_circle([]) == 0


def test_it_stops_where_it_begins_to_go_round(folder: Path, sound: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = written_in(opened(folder), sound, "de")
    monkeypatch.setattr(seq2seq, "ROUNDS", 3)
    monkeypatch.setattr(seq2seq, "TOKENS_OF_ROUNDS", 3)
    ended = written_in(opened(folder), sound, "de")
    assert 0 < len(ended) < len(whole) and ended == whole[: len(ended)]


def test_who_gives_up_is_asked_before_each_token(folder: Path, sound: np.ndarray) -> None:
    asked = []

    def given_up() -> bool:
        asked.append(1)
        return len(asked) > 10

    with pytest.raises(CancelledError):
        list(opened(folder).pieces(sound, given_up))
    assert 10 < len(asked) < 15


def test_sound_in_which_nothing_is_said_gives_no_words(
    folder: Path, sound: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert text_in(folder, sound)
    monkeypatch.setattr(seq2seq, "UNLIKELY_TEXT", 0.0)
    assert text_in(folder, sound), "it is sure that something is said"
    monkeypatch.setattr(seq2seq, "LIKELY_NOTHING", 0.0)
    assert text_in(folder, sound) == ""


def test_words_come_with_times_and_confidence(folder: Path, sound: np.ndarray) -> None:
    heard = hearing_of(opened(folder).pieces(sound, hints=Hints(language="zh")))
    assert " ".join(word.text for word in heard.words) == heard.text == heard.spelt
    assert all(0 <= word.start <= word.end <= len(sound) / 16_000 for word in heard.words)
    assert all(one.end <= other.start for one, other in pairwise(heard.words))
    assert all(0 <= word.confidence <= 1 for word in heard.words)


@pytest.mark.parametrize("paused", [True, False])
def test_a_long_recording_is_heard_in_windows(folder: Path, sound: np.ndarray, paused: bool) -> None:
    rng = np.random.default_rng(0)
    noise = (0.1 * rng.standard_normal(16_000 * 7)).astype(np.float32)
    gap = np.zeros(16_000, np.float32)
    long = np.concatenate([sound, gap, sound, gap, sound]) if paused else noise
    pieces = list(opened(folder).pieces(long))
    assert len(pieces) == pieces[0].total and [piece.done for piece in pieces] == list(range(1, len(pieces) + 1))
    assert len(pieces) >= 3
    heard = hearing_of(pieces)
    assert [word.start for word in heard.words] == sorted(word.start for word in heard.words)
    assert heard.words[-1].end <= len(long) / 16_000
    if paused:
        assert pieces[0].text and text_in(folder, sound[:10_000]) != ""
    blocks = hearing_of(opened(folder).pieces(iter(np.array_split(long, 9))))
    assert (blocks.text, blocks.words) == (heard.text, heard.words)


def test_page_and_commands_hear_with_it(folder: Path, sound: np.ndarray, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    heard = transcribe_samples(sound, folder, settings, "x", listening=Listening(language="de"))
    assert heard.text == text_in(folder, sound, "de") and heard.words
    with pytest.raises(UserError, match="not taught to write letters"):
        open_checkpoint(read_model(folder, Settings.max_load_bytes))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    connectivity._probes.clear()
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "others"))
    with FakeHub() as hub:
        yield hub


def test_one_of_the_hub_comes_with_its_decoder(hub: FakeHub, folder: Path, tmp_path: Path, sound: np.ndarray) -> None:
    sharded = save_hearing_whisper(tmp_path / "sharded", sharded=True)
    hub.add_model("anna/whisper", {path.name: path.read_bytes() for path in sharded.iterdir()})
    settings = Settings(data_dir=tmp_path / "data", hub_endpoint=hub.url)
    base = fetch_checked("anna/whisper", None, settings)
    assert not (base.folder / DECODER).exists() and not base.seq2seq
    files = find_model(HubId("anna/whisper"), settings, whole=True)
    assert files.seq2seq and (files.folder / DECODER).exists() and files.memory
    text = hearing_of(open_recognizer(files).pieces(sound)).text
    assert text == text_in(folder, sound)
    away = replace(settings, hub_endpoint="http://127.0.0.1:9")
    assert hearing_of(open_recognizer(find_model(HubId("anna/whisper"), away, whole=True)).pieces(sound)).text == text


def test_pieces_of_words_that_look_like_paths_lead_nowhere(folder: Path, tmp_path: Path, sound: np.ndarray) -> None:
    """Every published tokenizer.json has such: without it, no Whisper of the Hub would open in either role."""
    other = copy(folder, tmp_path)
    values = json.loads((folder / "tokenizer.json").read_text())
    values["model"]["merges"] = ["/ /", ". .", ".. /", ": //", ["http", "://"]]
    (other / "tokenizer.json").write_text(json.dumps(values))
    assert text_in(other, sound) == text_in(folder, sound)
    assert read_model(other, Settings.max_load_bytes).config.values["model_type"] == "whisper"


def written_in(recognizer: Seq2SeqRecognizer, sound: np.ndarray, language: str = "en") -> list[int]:
    """The tokens of one window."""
    with torch.inference_mode():
        encoded = recognizer._encoded(sound)
        return recognizer._written(encoded, recognizer._rules.prompt(language), len(sound), bool)


def copy(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to / "copy"))


def change(folder: Path, name: str, **values: Any) -> None:
    file = folder / name
    file.write_text(json.dumps(json.loads(file.read_text()) | values))
