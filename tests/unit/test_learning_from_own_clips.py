"""From a person's own clips to a training: which are learnt from, what judges it, what is kept, and what is refused."""

import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.models import save_tiny_base
from tests.fakes.sounds import save_folder, say, wav
from tests.fakes.training import Events, context_in
from trainer.commands.finetune import add_arguments
from trainer.commands.finetune import recipe_of as recipe_of_shell
from trainer.errors import UserError
from trainer.runs import lifecycle
from trainer.runs.preflight import check_inputs
from trainer.runs.run import FROZEN_CLIPS, LOCAL_OWNER, Run, list_runs
from trainer.runs.storage import DAYS_KEPT, check_room_for_clip, make_room, sweep_clips
from trainer.settings import LAPTOP, SPACE, Settings
from trainer.speech.clips import RawClip
from trainer.speech.corpora import read_folder
from trainer.speech.locales import LOCALES
from trainer.speech.mixing import JUDGED, Selection, open_and_split
from trainer.speech.own_clips import FEWEST_ALONE, FEWEST_MIXED, OwnClips, own_clips
from trainer.speech.reading_list import sentences
from trainer.speech.text import normalise
from trainer.training.finetune import finetune
from trainer.training.recipe import Recipe, preset_of
from trainer.ui.correction_panel import CorrectionHandlers
from trainer.ui.data_preview import FormHandlers
from trainer.ui.own_clip_handlers import OwnClipHandlers
from trainer.ui.panel_state import Visit, Watch
from trainer.ui.recipe_form import OWN_AND_OTHERS, OWN_CLIPS, Form, form_of, recipe_of, source_of
from trainer.ui.recordings import Recordings
from trainer.ui.run_handlers import RunHandlers
from trainer.ui.visitors import OpenPage, Visitor, owner_of, valid_or_new

EN = LOCALES["en-US"]
SPOKEN = wav(say("a" * 30))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A laptop without the Hub."""
    return Settings(data_dir=tmp_path / "data", hub_endpoint="http://127.0.0.1:9", hub_timeout=0.2)


def recorded(settings: Settings, count: int, owner: str = LOCAL_OWNER) -> OwnClips:
    store = own_clips(settings, owner, "en-US")
    for text in sentences("en-US")[:count]:
        store.add(SPOKEN, text)
    return store


def form(data: str, **changed: Any) -> Form:
    return replace(form_of(preset_of("quick").recipe), data=data, **changed)


def said(clips: list[RawClip]) -> set[str]:
    return {normalise(clip.text, EN) for clip in clips}


# --- which clips


def test_others_help_it_learn_and_judge_nothing(settings: Settings) -> None:
    own = recorded(settings, 20)
    source, splitting = open_and_split(str(own.folder), "practice", EN, settings, Selection())
    mine = {clip.name for clip in own.clips()}
    assert {clip.name for clip in (*splitting.validation, *splitting.test)} <= mine
    assert [len(splitting.validation), len(splitting.test)] == [3, 4]
    others = [clip for clip in splitting.train if clip.name not in mine]
    assert len(splitting.train) - len(others) == 13
    # The practice set says each sentence in three voices; those that this person is judged by are not among them.
    assert len(others) == 180 - 3 * 7 and all(clip.split == "train" for clip in others)
    judged = said(splitting.validation) | said(splitting.test)
    assert not judged & said(splitting.train) and not said(splitting.validation) & said(splitting.test)
    assert splitting.split_by == "text" and JUDGED in splitting.note
    assert source.title == "Your own recordings, with Practice voices" and source.by_computer


def test_a_sentence_of_another_spelling_is_the_same(settings: Settings) -> None:
    own = recorded(settings, 5)
    test = next(clip for clip in own.clips() if clip.split == "test")
    own.edit(test.name, test.text.upper().replace("?", " …").replace(".", "!!"))
    _, splitting = open_and_split(str(own.folder), "practice", EN, settings, Selection())
    assert normalise(test.text, EN) in said(splitting.test) - said(splitting.train)


def test_a_number_of_clips_is_filled_up_from_the_others(settings: Settings) -> None:
    own = recorded(settings, 8)
    _, splitting = open_and_split(str(own.folder), "practice", EN, settings, Selection(count=20))
    assert sum(len(splitting.of(split)) for split in ("train", "validation", "test")) == 20
    assert len(splitting.test) == 2


def test_a_folder_without_marks_can_have_others_besides(settings: Settings, tmp_path: Path) -> None:
    texts = [f"{verb} the {thing}" for verb in ("open", "close") for thing in ("door", "gate", "box", "shop", "bag")]
    folder = save_folder(tmp_path / "own", [(text, "") for text in texts])
    _, splitting = open_and_split(str(folder), "practice", EN, settings, Selection())
    assert len(splitting.train) > 180 and said(splitting.test) < set(texts) and splitting.split_by == "text"
    for data, also in (("practice", "minds14"), (str(folder), "somewhere")):
        with pytest.raises(UserError, match="Only a folder of your own"):
            Recipe(data=data, also=also)


# --- what is trained


@pytest.mark.parametrize("also", ["", "practice"])
def test_a_training_says_what_it_was_judged_by(settings: Settings, tmp_path: Path, also: str) -> None:
    own = recorded(settings, FEWEST_ALONE)
    events: Events = []
    base = str(save_tiny_base(tmp_path / "base", "layer"))
    short = Recipe(max_steps=2, eval_steps=1, warmup_steps=0, batch_seconds=12.0, clips=24)
    recipe = short.change(base=base, data=str(own.folder), also=also)
    check_inputs(recipe, settings)
    assert finetune(recipe, settings, context_in(tmp_path / "run", events)) == "finished"
    data = next(event for event in events if event["event"] == "data")
    assert (data["kind"], data["validation_clips"], data["test_clips"]) == ("own", 1, 2)
    assert data["train_clips"] == (21 if also else 7) and data["split_by"] == "text"
    assert any(event["event"] == "tested" for event in events)
    assert any(JUDGED in event.get("text", "") for event in events) == bool(also)


def test_the_shell_takes_the_folder_as_any_other(settings: Settings) -> None:
    import argparse

    own = recorded(settings, FEWEST_MIXED)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    given = ["--data", str(own.folder), "--also", "practice"]
    recipe = recipe_of_shell(parser.parse_args(given), settings)
    assert (Path(recipe.data), recipe.also) == (own.folder.resolve(), "practice")
    check_inputs(recipe, settings)


# --- from the page


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The runs that would have been put in line."""
    runs: list[Run] = []
    monkeypatch.setattr(lifecycle, "queue_trainer", lambda settings, run, resume=False: runs.append(run))
    return runs


def press_start(settings: Settings, asked: Form, secret: str | None = None) -> str:
    visit = Visit(Visitor(secret, settings), Watch(), "quick", None)
    return str(RunHandlers(settings).start(visit, asked)[-1])


@pytest.mark.parametrize(("data", "fewest"), [(OWN_CLIPS, FEWEST_ALONE), (OWN_AND_OTHERS, FEWEST_MIXED)])
def test_too_few_are_told_before_a_run_is_made(settings: Settings, started: list[Run], data: str, fewest: int) -> None:
    assert f"no clips of your own yet in American English, and it takes {fewest}" in press_start(settings, form(data))
    recorded(settings, fewest - 1)
    assert "Record 1 more" in press_start(settings, form(data))
    card, _ = FormHandlers(settings).look_at_own(Visitor(None, settings), "en-US", data)
    assert "Record 1 more" in card
    assert list_runs(settings.runs_dir) == [] and not started


@pytest.mark.parametrize("data", [OWN_CLIPS, OWN_AND_OTHERS])
def test_a_run_keeps_the_clips_that_it_began_with(settings: Settings, started: list[Run], data: str) -> None:
    own = recorded(settings, FEWEST_ALONE)
    before = [clip.text for clip in own.clips()]
    assert press_start(settings, form(data)) == ""
    assert press_start(settings, form(data)) == "", "a double click"
    (run,) = started
    recipe = run.recipe()
    assert Path(recipe.data) == run.folder.absolute() / FROZEN_CLIPS
    for clip in own.clips()[:6]:
        own.delete(clip.name)
    assert [clip.text for clip in read_folder(recipe.data, EN).clips] == before
    again = form_of(recipe)
    assert (again.data, again.folder) == (data, ""), "Fine-tune again takes the clips as they are then"
    assert recipe_of(again, settings).data == str(own.folder)


def test_a_visitor_learns_from_their_own_alone(settings: Settings, started: list[Run]) -> None:
    space = replace(settings, on_space=True, limits=SPACE)
    mine, theirs = valid_or_new(None), valid_or_new(None)
    recorded(space, FEWEST_ALONE, owner_of(mine, space))
    assert "no clips of your own" in press_start(space, form(OWN_CLIPS), theirs)
    path = str(own_clips(space, owner_of(mine, space), "en-US").folder)
    assert "do not know that data" in press_start(space, form(path), theirs)
    assert "only on your own computer" in press_start(space, form("folder", folder=path), theirs)
    assert not started
    assert press_start(space, form(OWN_CLIPS), mine) == ""
    assert len(started) == 1
    with pytest.raises(UserError, match="do not know"):
        source_of(path, "", space)


def test_the_panel_serves_each_visitor_theirs(settings: Settings, tmp_path: Path) -> None:
    space = replace(settings, on_space=True, limits=SPACE)
    panel = OwnClipHandlers(space, Recordings(tmp_path))
    mine, stranger, nobody = (Visitor(secret, space) for secret in (valid_or_new(None), valid_or_new(None), None))
    sound = tmp_path / "said.wav"
    sound.write_bytes(SPOKEN)
    first = sentences("en-US")[0]
    kept = panel.keep_clip(mine, str(sound), "en-US", first, "")
    name = kept[3]
    assert "Kept: " in kept[1] and "About" in kept[6]
    again = panel.keep_clip(mine, str(sound), "en-US", first, name)
    (clip,) = own_clips(space, mine.owner, "en-US").clips()
    assert clip.name == again[3] != name, "the same sentence again takes its place"
    late = panel.keep_clip(mine, str(sound), "en-US", sentences("en-US")[1], again[3])
    assert len(own_clips(space, mine.owner, "en-US").clips()) == 2, "another sentence does not"
    assert panel.next_sentence(mine, "en-US", first)[0] == sentences("en-US")[2]
    assert "whose clips" in panel.keep_clip(nobody, str(sound), "en-US", first, "")[1]
    seen = [*panel.choose_clip(stranger, "en-US", clip.name), *panel.open_own_voice(stranger, "en-US")]
    assert clip.name not in str(seen) and "No clips" in str(seen)
    with pytest.raises(UserError):
        panel.delete_clip(stranger, "en-US", clip.name)
    with pytest.raises(UserError):
        panel.download_clips(stranger, "en-US")
    assert "no words" in panel.save_clip(mine, "en-US", clip.name, "  ")[2]
    panel.save_clip(mine, "en-US", clip.name, "<b>another</b> text")
    assert "&lt;b&gt;another" in panel.choose_clip(mine, "en-US", clip.name)[0]
    panel.delete_clip(mine, "en-US", late[3])
    assert [kept.text for kept in own_clips(space, mine.owner, "en-US").clips()] == ["<b>another</b> text"]


def test_a_correction_is_kept_once_with_the_words_that_came_last(settings: Settings, tmp_path: Path) -> None:
    recordings = Recordings(tmp_path / "uploads")
    handlers = CorrectionHandlers(OwnClipHandlers(settings, recordings))
    me, page = Visitor(None, settings), OpenPage(LOCAL_OWNER, "mine")
    assert "not here any more" in handlers.add_correction(me, page, "open the door", "en-US")[0]
    sound = tmp_path / "uploads" / "said.wav"
    sound.parent.mkdir()
    sound.write_bytes(SPOKEN)
    recordings.keep(page, str(sound))
    assert "not here any more" in handlers.add_correction(me, OpenPage(LOCAL_OWNER, "another"), "open it", "en-US")[0]
    assert "no words" in handlers.add_correction(me, page, None, "en-US")[0]
    for words, language in (("open the door", "en-US"), ("open the gate", "en-US"), ("mach auf", "de-DE")):
        assert "you have 1 sentence of your own" in handlers.add_correction(me, page, words, language)[0]
    kept = {code: [clip.text for clip in own_clips(settings, LOCAL_OWNER, code).clips()] for code in ("en-US", "de-DE")}
    assert kept == {"en-US": ["open the gate"], "de-DE": ["mach auf"]}
    assert handlers.language_of_model(me, "ready:de", "any", "en-US") == "de-DE"
    assert handlers.language_of_model(me, "ready:en", "any", "en-GB") == "en-GB"
    assert handlers.language_of_model(me, "ready:en", "fr-FR", "en-GB") == "fr-FR"
    assert handlers.language_of_model(me, "run:../../etc", None, "en-GB") == "en-GB"


# --- room


def test_clips_count_as_what_is_kept_and_have_a_share_of_it(settings: Settings) -> None:
    recorded(settings, 3)
    recorded(replace(settings, on_space=True), 3, "c" * 64)
    taken = sum(file.stat().st_size for file in settings.clips_dir.rglob("*") if file.is_file())

    def with_room(most: int) -> Settings:
        return replace(settings, limits=replace(LAPTOP, disk_bytes=most))

    check_room_for_clip(with_room(11 * taken), LOCAL_OWNER)
    with pytest.raises(UserError, match="for all visitors"):
        check_room_for_clip(with_room(9 * taken), "d" * 64)
    with pytest.raises(UserError, match="Your clips take"):
        check_room_for_clip(with_room(11 * taken), "c" * 64)
    with pytest.raises(UserError, match="the most"):
        make_room(with_room(taken - 1))
    make_room(with_room(taken + 1))


def test_a_space_forgets_clips_that_nobody_changes(settings: Settings) -> None:
    space = replace(settings, on_space=True)
    old, new = recorded(space, 1, "e" * 64), recorded(space, 1, "f" * 64)
    then = time.time() - DAYS_KEPT * 24 * 3600 - 60
    os.utime(old.folder / "metadata.csv", (then, then))
    sweep_clips(settings)
    assert old.folder.exists(), "a laptop's are its owner's"
    sweep_clips(space)
    assert not old.folder.exists() and len(new.clips()) == 1


def test_a_recording_is_held_while_it_is_kept(settings: Settings, tmp_path: Path) -> None:
    """However long the store is busy: a sweep of uploads leaves it."""
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    sound = uploads / "said.wav"
    sound.write_bytes(SPOKEN)
    os.utime(sound, (0, 0))
    recordings = Recordings(uploads)
    panel = OwnClipHandlers(settings, recordings)
    store = own_clips(settings, LOCAL_OWNER, "en-US")
    with store._changing():
        keeping = threading.Thread(
            target=panel.keep_clip, args=(Visitor(None, settings), str(sound), "en-US", "open the door", "")
        )
        keeping.start()
        deadline = time.monotonic() + 20
        while not recordings._uses and time.monotonic() < deadline:
            time.sleep(0.01)
        recordings.sweep()
        assert sound.exists()
    keeping.join()
    assert [clip.text for clip in store.clips()] == ["open the door"]
