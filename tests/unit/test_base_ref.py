"""A model's name is decided once: no path is ever taken for an id of the Hub, and no id for a path."""

import argparse
from pathlib import Path

import pytest

from trainer.commands.finetune import add_arguments, recipe_of
from trainer.errors import UserError
from trainer.jobs.bundle import check_travels
from trainer.models.base_ref import BaseRef, Folder, HubId, Starter, parse_base, read_base
from trainer.models.resolve import find_model, folder_of
from trainer.settings import STARTER, Settings

NAME = "owner/name"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a model's folder in it, which is named like a model on the Hub."""
    (tmp_path / NAME).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path.resolve()


@pytest.mark.parametrize(
    "typed", [NAME, f"./{NAME}", f"~/{NAME}", f"owner/../{NAME}", f' "{NAME}" ', f"'~/{NAME}'", f"“{NAME}”"]
)
def test_on_ones_own_computer_a_folder_that_is_there_is_meant(here: Path, typed: str) -> None:
    assert parse_base(typed, on_space=False) == Folder(here / NAME)
    assert parse_base(typed, on_space=False, by_visitor=True) == Folder(here / NAME)


@pytest.mark.parametrize("typed", ["facebook/wav2vec2-base", "https://huggingface.co/facebook/wav2vec2-base/tree/main"])
def test_else_it_is_an_id_or_its_page(here: Path, typed: str) -> None:
    assert parse_base(typed, on_space=False) == HubId("facebook/wav2vec2-base")
    assert parse_base("starter", on_space=False) == Starter()


@pytest.mark.parametrize("typed", ["./missing", "~/missing", "/missing/model", "../missing", "~nobody-of-that-name/x"])
def test_a_path_that_leads_nowhere_is_never_asked_of_the_hub(here: Path, typed: str) -> None:
    for by_visitor in (False, True):
        with pytest.raises(UserError, match="no model in that folder"):
            parse_base(typed, on_space=False, by_visitor=by_visitor)


def test_on_a_space_a_relative_text_is_never_a_folder(here: Path) -> None:
    assert parse_base(NAME, on_space=True) == HubId(NAME)
    assert parse_base(str(here / NAME), on_space=True) == Folder(here / NAME)
    with pytest.raises(UserError, match="no model in that folder"):
        parse_base(f"./{NAME}", on_space=True)


@pytest.mark.parametrize("typed", ["/", "/missing", f"./{NAME}", f"~/{NAME}"])
def test_a_visitor_of_a_space_learns_of_no_folder(here: Path, typed: str) -> None:
    assert parse_base(NAME, on_space=True, by_visitor=True) == HubId(NAME)
    for text in (typed, str(here / NAME)):
        with pytest.raises(UserError, match="not the id of a model"):
            parse_base(text, on_space=True, by_visitor=True)


@pytest.mark.parametrize("base", [Starter(), HubId("facebook/wav2vec2-base"), HubId("name"), Folder(Path("/a/b"))])
def test_as_text_it_is_read_again_as_what_it_was(base: BaseRef) -> None:
    assert read_base(str(base)) == base


def test_nothing_can_be_made_that_would_be_read_as_another_kind() -> None:
    with pytest.raises(ValueError, match=NAME):
        Folder(Path(NAME))
    for name in ("starter", "/a/b", "./b", "~/b", "https://huggingface.co/a/b", ""):
        with pytest.raises(ValueError):
            HubId(name)
    with pytest.raises(UserError, match="no model called starter"):
        parse_base("https://huggingface.co/starter", on_space=False)


def test_recipes_of_earlier_versions_are_read(here: Path) -> None:
    assert read_base("starter") == Starter()
    assert read_base("facebook/wav2vec2-base") == HubId("facebook/wav2vec2-base")
    assert read_base("/models/mine") == Folder(Path("/models/mine"))
    assert read_base(f"~/{NAME}") == Folder(here / NAME)
    assert read_base(f"./{NAME}") == Folder(here / NAME)
    with pytest.raises(UserError):
        read_base("no model at all!")


def test_the_table_pins_a_revision_and_nothing_else_does() -> None:
    assert HubId("facebook/wav2vec2-base").revision == "refs/pr/2"
    assert HubId(NAME).revision is None and not HubId(NAME).pickle
    assert HubId("facebook/hubert-base-ls960").pickle
    assert not HubId("asapp/sew-tiny-100k").pickle  # no commit is pinned


def test_a_relative_base_of_the_command_line_is_an_absolute_folder_from_then_on(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    recipe = recipe_of(parser.parse_args(["--base", NAME]), Settings(data_dir=here))
    assert recipe.base == str(here / NAME)
    monkeypatch.chdir("/")  # where it is resumed
    assert recipe.base_ref == Folder(here / NAME)
    with pytest.raises(UserError, match="lies on your computer"):
        check_travels(recipe)


def test_a_folder_that_went_is_not_looked_for_elsewhere(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with pytest.raises(UserError, match="no model in that folder"):
        folder_of(Folder(tmp_path / "gone"), settings)
    assert find_model(Starter(), settings).folder == STARTER
