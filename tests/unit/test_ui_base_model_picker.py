"""The chooser of base models: what is listed, what is said of one, and the fields that follow."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.fakes.hub import FakeHub
from tests.fakes.hub_search import Listed
from tests.fakes.run_folder import write_run
from trainer.hardware import Machine
from trainer.hub import connectivity
from trainer.models import size
from trainer.models.catalog import BASES
from trainer.runs.run import LOCAL_OWNER
from trainer.settings import Settings
from trainer.speech.locales import LOCALES
from trainer.training.estimate import Fit
from trainer.training.recipe import preset_of
from trainer.ui import base_model_picker
from trainer.ui.base_model_picker import (
    ChooserHandlers,
    Chosen,
    base_card,
    base_label,
    fold_label,
    not_now,
    offer,
    recent_bases,
)
from trainer.ui.hub_search import searcher
from trainer.ui.panel_state import Visit, Watch
from trainer.ui.recipe_form import Form, fill_for_base, fill_from_preset
from trainer.ui.visitors import Visitor

GIB = 2**30
BASE, XLSR = "facebook/wav2vec2-base", "jonatasgrosman/wav2vec2-large-xlsr-53-german"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture(autouse=True)
def laptop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """16 GB, no GPU, and nothing fetched before."""
    for module in (base_model_picker, base_model_picker):
        monkeypatch.setattr(module, "this_machine", lambda: Machine(16 * GIB))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("VOICETUNE_DATA", str(tmp_path / "data"))
    connectivity._probes.clear()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with FakeHub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        yield hub


def form(preset: str = "quick", **changed: object) -> Form:
    return replace(fill_from_preset(preset_of(preset), "de-DE", "auto", ""), **changed)  # type: ignore[arg-type]


def test_the_list_begins_with_what_is_recommended_and_leaves_other_languages_out(settings: Settings) -> None:
    offered = offer(LOCALES["de-DE"], settings, True)
    ids = [base for _, base in offered.choices]
    assert ids[0] == "starter"
    assert XLSR in ids
    assert "facebook/wav2vec2-base-960h" not in ids  # it writes English
    assert not any("french" in base for base in ids)
    assert "Recommended: Starter." in offered.recommended


def test_what_cannot_be_chosen_is_named_with_its_reason(settings: Settings) -> None:
    refused = {row.id: reason for row, reason in offer(LOCALES["de-DE"], settings, True).not_now}
    assert "this computer has 16 GB" in refused["facebook/w2v-bert-2.0"]
    assert "pickle" in refused["asapp/sew-tiny-100k"]
    assert BASE not in refused


def test_without_the_hub_only_what_is_here_can_be_chosen(settings: Settings, tmp_path: Path) -> None:
    offered = offer(LOCALES["de-DE"], settings, False)
    assert [base for _, base in offered.choices] == ["starter"]
    assert "out of reach" in {row.id: reason for row, reason in offered.not_now}[BASE]
    snapshot = (
        tmp_path / "hub" / "models--ntu-spml--distilhubert" / "snapshots" / str(BASES["ntu-spml/distilhubert"].revision)
    )
    snapshot.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (snapshot / name).touch()
    offered = offer(LOCALES["de-DE"], settings, False)
    assert [base for _, base in offered.choices] == ["starter", "ntu-spml/distilhubert"]
    assert "here already" in offered.choices[1][0]


def test_bases_that_a_model_came_of_are_offered_again(settings: Settings) -> None:
    run = write_run(settings.data_dir)
    config = run.config()
    config["recipe"]["base"] = "somebody/their-model"
    (run.folder / "config.json").write_text(json.dumps(config))
    assert recent_bases(settings, LOCAL_OWNER) == ["somebody/their-model"]
    assert recent_bases(settings, "somebody else") == []
    labels = dict(offer(LOCALES["en-US"], settings, True, ["somebody/their-model"]).choices)
    assert "somebody/their-model · worked before" in labels


def test_a_card_tells_size_licence_minutes_and_memory() -> None:
    row = BASES["facebook/mms-300m"]
    card = base_card(Chosen(row.id, row, False, 7200, Fit(12 * GIB, 24 * GIB, "GPU memory"), row.download_bytes))
    for words in (
        "1.3 GB to download",
        "not for commercial use",
        "very many languages",
        "about 2 hours",
        "12 GB of the 24",
    ):
        assert words in card
    assert "problem" not in card


def test_a_card_warns_and_refuses() -> None:
    row = BASES[BASE]
    tight = base_card(Chosen(BASE, row, True, 60, Fit(9 * GIB, 10 * GIB, "memory"), 1))
    assert "tight" in tight and "On this computer already" in tight
    assert "does not fit" in base_card(Chosen(BASE, row, True, 60, Fit(11 * GIB, 10 * GIB, "memory"), 1))


def test_what_others_wrote_cannot_become_markup() -> None:
    assert "<img" not in base_card(Chosen("<img src=x>", None, False, problem="<img src=x>"))
    assert "<img" not in not_now([(BASES[BASE], "<img src=x>")])
    assert fold_label("somebody/their-model", None) == "Model: their-model"
    assert base_label(BASES[BASE], False, 60) == "wav2vec2-base · 380 MB · about a minute"


def test_another_base_brings_the_preset_that_suits_it() -> None:
    taken = fill_for_base(form(base=XLSR, data="practice"))
    assert (taken.preset, taken.base, taken.data) == ("full", XLSR, "practice")
    assert taken.learning_rate == preset_of("full").recipe.learning_rate
    back = fill_for_base(replace(taken, base="starter"))
    assert (back.preset, back.base) == ("quick", "starter")


def test_without_the_hub_a_base_that_is_here_can_start_and_others_cannot(settings: Settings) -> None:
    def missing(preset: str, base: str, hub: bool | None = False) -> bool:
        return Visit(Visitor("", settings), Watch(), preset, hub, base).hub_missing

    assert not missing("quick", "starter")
    assert missing("quick", BASE)
    assert not missing("quick", BASE, hub=None)
    assert not missing("full", "starter")
    assert missing("full", "")  # the preset's own
    assert missing("guide", "starter")  # its data come from the Hub
    assert missing("quick", "no model at all!")


def test_an_emptied_field_changes_nothing_and_is_told(settings: Settings) -> None:
    empty = form(base="")
    assert fill_for_base(empty) == empty
    assert "No model is chosen" in ChooserHandlers(settings).describe(empty, True)[1]


def test_fields_that_suit_the_base_already_stay() -> None:
    tuned = form("full", base=XLSR, max_steps=77)
    assert fill_for_base(tuned) == tuned
    thorough = form("thorough", learning_rate=1e-4)
    assert fill_for_base(thorough) == thorough


def test_the_card_of_a_typed_name_is_filled_once_the_hub_has_said_its_size(
    settings: Settings, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    size._asked.clear()
    config = {"model_type": "wav2vec2", "hidden_size": 512, "num_hidden_layers": 6, "intermediate_size": 2048}
    config |= {"conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_stride": [5, 2, 2, 2, 2, 2, 2]}
    hub.add_model("anna/middle", {"config.json": json.dumps(config).encode(), "model.safetensors": bytes(400)})
    handlers, typed = ChooserHandlers(replace(settings, hub_endpoint=hub.url)), form("full", base="anna/middle")
    _, before = handlers.describe(typed, True)
    assert "do not know this model yet" in before
    after = handlers.look_up(typed, True)
    assert "Here: about" in after
    assert hub.files_sent() == ["config.json"]
    assert "no model called" in handlers.look_up(form("full", base="anna/nothing"), True)


def test_the_search_lists_what_it_found_or_says_why_not(settings: Settings, hub: FakeHub) -> None:
    hub.listed = [Listed("anna/german", parameters={"F32": 94_400_000}, downloads=12345)]
    search = searcher(replace(settings, hub_endpoint=hub.url))
    (_, searching), (listed, said) = search("de-DE")
    assert "Searching for models that write German" in searching
    assert listed["choices"] == [("anna/german · 378 MB · apache-2.0 · 12,345 downloads", "anna/german")]
    assert "not been checked" in said
    *_, (nothing, said) = search("ko-KR")
    assert nothing["choices"] == [] and "found no model" in said
    assert ["Choose a language first" in said for _, said in search("any")] == [True]
    *_, (_, said) = searcher(replace(settings, hub_endpoint="http://127.0.0.1:9"))("de-DE")
    assert "cannot be reached" in said
