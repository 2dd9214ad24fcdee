"""Which sentences a person is invited to read to their own model."""

from pathlib import Path

from tests.fakes.run_folder import TEXTS, write_run
from trainer.runs.run import create_run, new_run_folder
from trainer.settings import Settings
from trainer.training.recipe import preset_of
from trainer.transcription.service import TranscriptionService
from trainer.ui.compare_panel import CompareHandlers
from trainer.ui.reading import BOTH, NOW, OWN_WORDS, invitation, sentences_of
from trainer.ui.transcribe_handlers import TranscribeHandlers
from trainer.ui.visitors import Visitor


def test_they_are_of_clips_that_it_was_watched_by(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    assert sentences_of(run) == TEXTS["en-US"][:3]
    shown = invitation(run, before=True)
    assert shown["visible"] and shown["info"] == BOTH and shown["choices"][-1] == OWN_WORDS
    assert invitation(run, before=False)["info"] == NOW


def test_without_any_nobody_is_invited(tmp_path: Path) -> None:
    run = create_run(new_run_folder(tmp_path / "runs", "en-US"), preset_of("quick").recipe, "local")
    for nothing in (None, run):
        assert sentences_of(nothing) == [] and not invitation(nothing, before=True)["visible"]


def test_what_a_model_was_before_is_known_of_the_starter_alone(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    handlers = CompareHandlers(TranscribeHandlers(settings, TranscriptionService(settings)))
    run, me = write_run(tmp_path), Visitor("", settings)
    assert handlers.before(me, f"run:{run.id}") == "ready:en"
    assert handlers.before(me, "ready:en") is handlers.before(me, "run:20261123-151204-en-US-9f3a1c") is None
    stranger = Visitor(None, Settings(tmp_path, on_space=True))
    assert handlers.before(stranger, f"run:{run.id}") is None and not handlers.of_run(stranger, run.id)["visible"]
    config = run.folder / "config.json"
    config.write_text(config.read_text().replace('"starter"', '"facebook/wav2vec2-base"'))
    assert handlers.before(me, f"run:{run.id}") is None
