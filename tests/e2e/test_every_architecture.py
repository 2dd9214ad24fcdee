"""Every architecture of the table: a small random model learns four real clips by heart, in one padded batch, and is
then opened in every way there is. Three of the clips come at 8 kHz, as telephones record."""

import csv
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SPEECH
from tests.fakes.models import files_in
from tests.fakes.tiny_models import learning_model
from trainer.__main__ import main
from trainer.models.architectures import ARCHITECTURES
from trainer.models.ctc_model import open_checkpoint
from trainer.models.inference import Transcriber
from trainer.settings import Settings
from trainer.speech.audio import from_16_bit, load_audio, to_16_bit
from trainer.training.context import Context, Places
from trainer.training.finetune import finetune
from trainer.training.recipe import Recipe
from trainer.training.stop_signal import StopSignal
from trainer.transcription.transcribe import Listening, transcribe_with

CLIPS = {
    "en_fsdd_digits/7_theo_1.wav": "seven",  # 0.36 s at 8 kHz, and so are the next two
    "en_fsdd_digits/0_nicolas_2.wav": "zero",
    "en_fsdd_digits/4_jackson_3.wav": "four",
    # 2.1 s at 16 kHz. Not one with digital silence: it is the same between words, where a model without a convolution
    # over positions has to write a space, and at the ends, where it must not.
    "multilang/fr/stp_combien_fait_il.wav": "combien fait il",
}
STEPS = 120
QUICK = {"sew", "mctct", "wav2vec2-bert", "parakeet_ctc", "whisper_ctc"}  # one of each kind of front end
Events = list[dict[str, Any]]


@dataclass(frozen=True)
class Taught:
    """A fine-tuned model, what was told on the way, and the clips that it knows."""

    model: Path
    events: Events
    files: list[Path]

    @property
    def home(self) -> Path:
        return self.model.parent


def _finetune(base: Path, home: Path, **values: Any) -> Events:
    recipe = Recipe(
        data=str(home / "data"), base=str(base), batch_seconds=None, batch_clips=4, warmup_steps=10,
        freeze_feature_encoder=False, mask_time_prob=0.0, **values,
    )  # fmt: skip
    events: Events = []
    finetune(
        recipe,
        Settings(data_dir=home),
        Context(
            Places(home / f"model-{recipe.max_steps}", home / "checkpoints", home / "clips"),
            lambda kind, /, **fields: events.append({"event": kind, **fields}),
            StopSignal(),
        ),
    )
    return events


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in ARCHITECTURES],
)
def taught(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Taught:
    if not SPEECH.is_dir():
        pytest.skip("needs ../shared/speech, real recordings that are not part of the project")
    home = tmp_path_factory.mktemp(request.param)
    (home / "data").mkdir()
    with (home / "data" / "clips.tsv").open("w", newline="") as file:
        table = csv.writer(file, delimiter="\t")
        table.writerow(["path", "text", "split"])
        for path, text in CLIPS.items():
            shutil.copy(SPEECH / path, home / "data")
            table.writerows([[Path(path).name, text, split] for split in ("train", "validation", "test")])
    learning_model(request.param).save_pretrained(home / "base")
    events = _finetune(
        home / "base", home, max_steps=STEPS, eval_steps=STEPS, learning_rate=2e-3, schedule="cosine", seed=1
    )
    return Taught(home / f"model-{STEPS}", events, [home / "data" / Path(path).name for path in CLIPS])


def _evaluated(events: Events) -> Events:
    return [event for event in events if event["event"] == "evaluated"]


def test_four_clips_are_learnt_by_heart(taught: Taught) -> None:
    data = next(event for event in taught.events if event["event"] == "data")
    assert (data["train_clips"], data["left_out"]) == (4, {})
    before, after = _evaluated(taught.events)
    assert before["cer"] > 0.5
    assert after["loss"] < 0.05 and after["cer"] == 0


def test_all_ways_of_opening_it_read_the_same(taught: Taught, capsys: pytest.CaptureFixture[str]) -> None:
    from transformers import pipeline

    checkpoint = open_checkpoint(files_in(taught.model))
    listen = Transcriber(checkpoint)
    stock = pipeline("automatic-speech-recognition", model=str(taught.model))
    for file, text in zip(taught.files, CLIPS.values(), strict=True):
        sound = load_audio(file).samples
        assert listen(sound).text == text
        heard: Any = stock({"raw": from_16_bit(to_16_bit(sound)), "sampling_rate": 16_000})
        assert heard["text"] == text
        settings, alone = Settings(data_dir=taught.home), Listening(phrases=False)
        assert transcribe_with(str(file), taught.model, settings, listening=alone).text == text
    assert main(["transcribe", "--no-phrases", "--model", str(taught.model), *map(str, taught.files)]) == 0
    assert capsys.readouterr().out.splitlines() == list(CLIPS.values())


def test_training_goes_on_from_it(taught: Taught) -> None:
    """With its own head and letters: the first check hears what the last one heard."""
    last = _evaluated(taught.events)[-1]
    before, after = _evaluated(_finetune(taught.model, taught.home, max_steps=2, eval_steps=2, learning_rate=1e-4))
    assert before["loss"] == pytest.approx(last["loss"], rel=1e-4, abs=1e-6) and before["cer"] == 0
    assert after["loss"] < 0.05 and after["cer"] == 0
