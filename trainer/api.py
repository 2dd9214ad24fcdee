"""What `from trainer import …` gives: the three things that Voicetune does, as functions for scripts and notebooks.

The commands of the same names are these functions with a terminal around them. All raise UserError for what a person
can mend. torch is loaded by the call that needs it, not before.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from trainer.errors import UserError
from trainer.models.base_ref import parse_base
from trainer.models.resolve import folder_of
from trainer.runs.events import Event
from trainer.runs.follower import view_of
from trainer.runs.run import LOCAL_OWNER, Run
from trainer.runs.train import open_run, reopen_run, train_run
from trainer.settings import Settings
from trainer.speech.audio import SAMPLE_RATE, to_wav
from trainer.speech.locales import locale_of
from trainer.training.recipe import Recipe
from trainer.training.stop_signal import StopSignal
from trainer.transcription.model_list import choice_here, folder_of_choice
from trainer.transcription.transcribe import Listening, Transcript, transcribe_with


@dataclass(frozen=True)
class FineTuned:
    """What came of a fine-tune. Rates are fractions, None where nothing was checked yet; `wer` and `cer` are those of
    the model that was kept, `untrained_wer` and `untrained_cer` those before the first step.

    All are of the split that `judged_by` names: test, or validation where a stop did not wait for test to be read.
    """

    run: Path  # the run's folder
    model: Path  # what any `from_pretrained` opens
    finished: bool  # False where it was stopped before its last step
    steps: int
    wer: float | None
    cer: float | None
    untrained_wer: float | None
    untrained_cer: float | None
    judged_by: Literal["test", "validation"] | None
    phrases_wer: float | None = None  # by the test split, with the phrases that lie beside the model
    phrases_cer: float | None = None


@dataclass(frozen=True)
class ErrorReport:
    """Error rates of a model on clips. Rates are fractions over all clips together; `loss` is the mean a letter, in
    nats; `left_out` counts clips by reason. `data` is the kind of the source, `title` its name for people."""

    wer: float
    cer: float
    loss: float
    clips: int
    seconds: float  # that it took
    audio_seconds: float
    left_out: dict[str, int]
    locale: str
    data: str
    split: str
    title: str


def finetune(
    recipe: Recipe,
    folder: str | Path | None = None,
    *,
    on_event: Callable[[Event], object] | None = None,
    resume: bool = False,
    settings: Settings | None = None,
) -> FineTuned:
    """Teach a model a language, in this process; returns when it is finished or stopped.

    `folder` is the run's: a new or empty one, or with `resume` one that was cut off; None makes one where the page
    finds it. `on_event` is called with each event (a dict, see `trainer.runs.schema`). It waits for its turn behind
    other trainings of this machine. Call it from the main thread: Ctrl-C saves what was learnt and stops.

    Raises UserError with the reason where it failed, cannot be resumed, or is trained by another process.
    """
    settings = settings or Settings.from_env()
    place = Path(folder) if folder is not None else None
    run = reopen_run(place) if resume else open_run(place, lambda: recipe, settings)
    stop = StopSignal(run.stop_file)
    stop.install()
    try:
        end = train_run(run, settings, on_event or (lambda event: None), stop, resume)
    finally:
        stop.remove()
    if end["event"] == "failed":
        raise UserError(end["what"], end["todo"])
    return _came_of(run)


def _came_of(run: Run) -> FineTuned:
    view = view_of(run)
    best, before = (view.test, view.untrained_test) if view.test else (view.best, view.baseline)
    return FineTuned(
        run=run.folder,
        model=run.model,
        finished=view.state == "finished",
        steps=view.step,
        wer=best.wer if best else None,
        cer=best.cer if best else None,
        untrained_wer=before.wer if before else None,
        untrained_cer=before.cer if before else None,
        judged_by=view.judged_by,
        phrases_wer=best.phrases_wer if best else None,
        phrases_cer=best.phrases_cer if best else None,
    )


def transcribe(
    sound: "str | Path | np.ndarray",
    model: str | Path | None = None,
    *,
    words: str = "",
    phrases: bool = True,
    language: str = "",
    settings: Settings | None = None,
) -> Transcript:
    """Write down what is said.

    `sound` is a file of any kind that is decoded, or samples: shape (samples,), mono at 16 kHz, floats in -1 to 1.
    `model` is a Hub id or a model's folder; None takes your newest model, else the practice model. `words` are names
    and words to listen for, between commas; `phrases` uses those that are kept beside the model, where there are any.
    `language` (ISO 639-1, as "de") is what is spoken, for a model of many languages; "" lets it find out.
    """
    settings = settings or Settings.from_env()
    folder, listening = folder_of_model(model, settings), Listening(words, phrases, language)
    if not isinstance(sound, np.ndarray):
        return transcribe_with(str(sound), folder, settings, listening=listening)
    if sound.ndim != 1 or not np.issubdtype(sound.dtype, np.floating) or not np.isfinite(sound).all():
        raise UserError(
            "These samples are not a sound as I know it.",
            f"Give one row of finite floats between -1 and 1, mono, at {SAMPLE_RATE} Hz.",
        )
    with tempfile.TemporaryDirectory(prefix="voicetune-") as place:
        file = Path(place) / "sound.wav"  # 16 bits, as sound is heard in training
        file.write_bytes(to_wav(sound.astype(np.float32)))
        return transcribe_with(str(file), folder, settings, listening=listening)


def folder_of_model(model: str | Path | None, settings: Settings) -> Path:
    """A model's folder, fetched where it is the Hub's; for None, of what is here. Raises UserError."""
    if model is not None:
        return folder_of(parse_base(str(model), on_space=settings.on_space), settings)
    return folder_of_choice(choice_here(settings, LOCAL_OWNER).value, settings, LOCAL_OWNER)


def evaluate(
    model: str | Path,
    *,
    locale: str | None = None,
    data: str = "auto",
    split: str = "test",
    seed: int = 42,
    settings: Settings | None = None,
) -> ErrorReport:
    """Measure a model's word and character error rates on clips of a locale.

    `model` is a Hub id or a model's folder; `locale` None is the model's own, or en-US; `data` is auto, minds14,
    practice or a folder; `split` is train, validation, test or all, drawn with `seed`: with the run's own, `test`
    is what the run never saw, and `validation` what its model was chosen by.
    """
    from trainer.models.ctc_model import open_checkpoint
    from trainer.models.model_files import read_notes
    from trainer.models.resolve import find_model
    from trainer.speech.dataset import SPLITS, Preparation, split_clips
    from trainer.speech.sources import open_source
    from trainer.training import evaluation

    if split not in (*SPLITS, "all"):
        raise UserError(f"“{split}” is not a split I know.", f"Choose one of: {', '.join(SPLITS)}, all.")
    settings = settings or Settings.from_env()
    asked = locale_of(locale).language if locale else None
    found = find_model(parse_base(str(model), on_space=settings.on_space), settings, asked)
    if not found.config.has_letters and found.vocabulary() is None:  # a Whisper with its own decoder
        raise UserError(
            "This model writes like Whisper, in pieces of words, and I measure only models that write letters.",
            "Hear your clips with it by `python -m trainer transcribe`, or choose a CTC model.",
        )
    spoken = locale_of(locale or read_notes(found.notes_folder).get("locale") or "en-US")
    checkpoint = open_checkpoint(found)
    source = open_source(data, spoken, settings)
    prepare = Preparation(spoken, checkpoint.vocabulary.case, settings, checkpoint.frames)
    splitting = split_clips(source.clips, spoken, seed)
    splits = [name for name in SPLITS if name == split or (split == "all" and splitting.of(name))]
    dataset = prepare(source, splitting, splits)
    examples = [example for name in splits for example in dataset.of(name)]
    started = time.perf_counter()
    result = evaluation.evaluate(checkpoint, examples, spoken)
    return ErrorReport(
        wer=result.rates.wer,
        cer=result.rates.cer,
        loss=result.loss,
        clips=len(examples),
        seconds=round(time.perf_counter() - started, 3),
        audio_seconds=round(sum(example.seconds for example in examples), 3),
        left_out=dict(dataset.left_out),
        locale=spoken.code,
        data=source.kind,
        split=split,
        title=source.title,
    )
