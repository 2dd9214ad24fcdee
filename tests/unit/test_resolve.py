"""The table of base models: what a row promises, which are on offer, which is recommended, and what it costs."""

import re
from pathlib import Path

import pytest

from trainer.hardware import Machine
from trainer.hub.repo_id import check_repo_id
from trainer.models.architectures import ARCHITECTURES
from trainer.models.base_ref import Folder, HubId, Starter
from trainer.models.catalog import BASES, HUB_MODELS, ROWS, STARTER_ID, Base, bases_on_offer, why_not_on_offer
from trainer.models.model_config import ModelConfig
from trainer.models.resolve import fetch, is_here
from trainer.models.size import sizes_of
from trainer.settings import Settings
from trainer.speech.locales import LOCALES
from trainer.training import recommendation
from trainer.training.estimate import estimate_seconds, machine_gflops, training_cost
from trainer.training.recipe import PRESETS
from trainer.training.recommendation import recommend

COMMIT = re.compile(r"[0-9a-f]{40}")
GIB = 2**30
LAPTOP, SMALL, LARGE = Machine(16 * GIB), Machine(32 * GIB, 15 * GIB), Machine(128 * GIB, 80 * GIB)
HERE = {STARTER_ID}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_row_holds_together(row: Base) -> None:
    if row.id != STARTER_ID:
        assert check_repo_id(row.id) == row.id
        assert ModelConfig(dict(row.config)).architecture in ARCHITECTURES.values()
        assert row.download_bytes > 10**7
    assert row.sentence.endswith(".")
    assert row.licence
    assert row.writes in (None, *(locale.language for locale in LOCALES.values()))


def test_each_model_is_there_once_and_every_preset_starts_from_one() -> None:
    assert len(BASES) == len(ROWS)
    assert all(not why_not_on_offer(BASES[preset.recipe.base]) for preset in PRESETS.values())


def test_a_pickle_is_on_offer_at_a_pinned_commit_alone() -> None:
    for row in bases_on_offer():
        assert not row.pickle or COMMIT.fullmatch(row.revision or ""), row.id
    assert "pickle" in why_not_on_offer(BASES["asapp/sew-tiny-100k"])


def test_a_pickles_commit_and_nothing_else_allows_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool, bool]] = []

    class AskedError(Exception): ...

    def fetch_model(repo: str, *, revision: str | None, allow_pickle: bool, **more: object) -> Path:
        asked.append((repo, bool(COMMIT.fullmatch(revision or "")), allow_pickle))
        raise AskedError

    monkeypatch.setattr("trainer.models.resolve.fetch_model", fetch_model)
    for repo in ("facebook/hubert-base-ls960", "facebook/wav2vec2-base", "asapp/sew-tiny-100k", "somebody/model"):
        with pytest.raises(AskedError):
            fetch(HubId(repo), Settings(data_dir=Path("unused")))
    assert asked == [
        ("facebook/hubert-base-ls960", True, True),
        ("facebook/wav2vec2-base", False, False),
        ("asapp/sew-tiny-100k", False, False),
        ("somebody/model", False, False),
    ]


def test_most_languages_have_a_model_that_writes_them() -> None:
    assert set(HUB_MODELS) == {"en", "de", "fr", "es", "it", "nl", "pl", "pt", "ru", "zh"}
    assert HUB_MODELS["en"] == "facebook/wav2vec2-base-960h"


@pytest.mark.parametrize(
    ("locale", "machine", "hub", "base", "reason"),
    [
        ("en-US", LAPTOP, True, STARTER_ID, "Others take hours on this computer, which has no NVIDIA GPU"),
        ("ko-KR", LAPTOP, False, STARTER_ID, "no NVIDIA GPU"),
        ("ko-KR", LAPTOP, True, STARTER_ID, "no NVIDIA GPU"),
        ("ko-KR", Machine(GIB), True, STARTER_ID, "no NVIDIA GPU"),
        ("en-GB", SMALL, True, "facebook/wav2vec2-base-960h", "writes English already"),
        ("de-DE", SMALL, True, "jonatasgrosman/wav2vec2-large-xlsr-53-german", "writes German already"),
        ("ko-KR", SMALL, True, "facebook/wav2vec2-xls-r-300m", "very many languages"),
        ("ko-KR", LARGE, True, "facebook/w2v-bert-2.0", "very many languages"),
        ("de-DE", Machine(32 * GIB, 6 * GIB), True, "openai/whisper-small", "very many languages"),
        ("de-DE", SMALL, False, STARTER_ID, "the Hub is out of reach"),
        ("de-DE", Machine(32 * GIB, GIB), True, STARTER_ID, "nothing larger fits"),
    ],
)
def test_what_is_recommended_and_why(locale: str, machine: Machine, hub: bool, base: str, reason: str) -> None:
    best = recommend(LOCALES[locale], machine, HERE, hub)
    assert best.base == base
    assert reason in best.reason
    assert best.reason.endswith(".") and "\n" not in best.reason


def test_without_a_gpu_the_advice_rests_on_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = {"wer_before": 0.9, "wer": 0.21, "cer_before": 0.8, "cer": 0.07}
    monkeypatch.setattr(recommendation, "measured_learning", lambda: {"de-DE": measured, "zh-CN": measured})
    said = {code: recommend(LOCALES[code], LAPTOP, HERE, True).reason for code in ("de-DE", "zh-CN", "fr-FR")}
    assert said["de-DE"].startswith("A quick look takes it from 90 % of the words wrong to 21 %, on practice voices.")
    assert said["zh-CN"].startswith(
        "A quick look takes it from 80 % of the characters wrong to 7 %, on practice voices."
    )
    assert said["fr-FR"].startswith("It writes some French already and learns on in minutes.")


def test_without_the_hub_what_was_fetched_before_can_be_recommended() -> None:
    fetched = {*HERE, "facebook/wav2vec2-base"}
    assert recommend(LOCALES["de-DE"], SMALL, fetched, False).base == "facebook/wav2vec2-base"


def test_the_costs_that_were_measured_come_out_of_the_formula() -> None:
    """wav2vec2-base 14.8 with its front end frozen and 1.33 times that without."""
    base = sizes_of(HubId("facebook/wav2vec2-base"))
    assert base
    assert training_cost(base.shape) == pytest.approx(14.8, rel=0.05)
    assert training_cost(base.shape, frozen=False) == pytest.approx(1.33 * 14.8, rel=0.05)


def test_larger_models_take_longer() -> None:
    recipe, settings = PRESETS["full"].recipe, Settings(data_dir=Path("unused"))
    order = ("ntu-spml/distilhubert", "facebook/wav2vec2-base", "facebook/wav2vec2-xls-r-300m")
    seconds = [estimate_seconds(recipe.change(base=base), settings) for base in order]
    starter = estimate_seconds(PRESETS["quick"].recipe, settings)
    assert [starter, *seconds] == sorted([starter, *seconds])
    assert machine_gflops() > 0


def test_what_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    settings, base = Settings(data_dir=tmp_path / "data"), HubId("facebook/wav2vec2-base-960h")
    assert is_here(Starter(), settings)
    assert is_here(Folder(tmp_path), settings)
    assert not is_here(base, settings)
    commit = BASES["facebook/wav2vec2-base-960h"].revision
    snapshot = tmp_path / "models--facebook--wav2vec2-base-960h" / "snapshots" / str(commit)
    snapshot.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (snapshot / name).touch()
    assert is_here(base, settings)


def test_a_pickle_that_another_program_fetched_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    row = BASES["facebook/hubert-base-ls960"]
    for cache, here in ((tmp_path, False), (tmp_path / "data" / "models", True)):
        snapshot = cache / "models--facebook--hubert-base-ls960" / "snapshots" / str(row.revision)
        snapshot.mkdir(parents=True)
        for name in ("config.json", "pytorch_model.bin"):
            (snapshot / name).touch()
        assert is_here(HubId(row.id), Settings(data_dir=tmp_path / "data")) == here
