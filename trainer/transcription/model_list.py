"""Which models a person can talk to: their own, one that comes with Voicetune, and ready-made ones from the Hub."""

import hashlib
import json
import os
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from trainer.errors import UserError
from trainer.formatting import file_size, moment
from trainer.hub.repo import DownloadProgress
from trainer.hub.repo_id import check_repo_id, is_repo_id
from trainer.models.base_ref import HubId, hub_id
from trainer.models.catalog import BASES, BEST_KNOWN, HUB_MODELS
from trainer.models.model_files import read_notes
from trainer.models.resolve import fetch, is_here, starter_of
from trainer.runs.run import Run, find_run, list_runs
from trainer.settings import Settings
from trainer.speech.locales import LOCALES, Locale, locale_of

RUN, READY, HUB = "run:", "ready:", "hub:"
_LANGUAGES = {row.language: row.english_language for row in LOCALES.values()}  # as the lists say it


@dataclass(frozen=True)
class Choice:
    """`value` is "run:<id>", "ready:<language>" or "hub:<repo id>"; `label` is for people. `aside`: it is never chosen
    by itself."""

    value: str
    label: str
    aside: bool = False

    @property
    def here(self) -> bool:
        """Whether it works without a download."""
        return not self.value.startswith(HUB)


def model_choices(settings: Settings, owner: str, locale: Locale | None = None, hub: bool = True) -> list[Choice]:
    """The owner's fine-tuned models, the newest first; then for this language (or all) what is here, and the Hub's.

    `hub`: whether it can be reached; where not, those that would have to be downloaded say so.
    """
    languages = [locale.language] if locale else list(_LANGUAGES)
    hub_models = [choice for language in languages if (choice := hub_choice(language))]
    listed = {choice.value for choice in hub_models}
    before = [Choice(HUB + repo, f"Used before · {repo}") for repo in recent_models(settings, owner)]
    again = [choice for choice in before if choice.value not in listed]
    used = {choice.value for choice in again}
    theirs = [*again, *hub_models, *(choice for choice in _best_known() if choice.value not in used)]
    if not hub:
        theirs = [choice if fetched_before(choice.value, settings) else _away(choice) for choice in theirs]
    return [*_own_choices(settings, owner), *_ready_choices(languages), *theirs]


def _best_known() -> list[Choice]:
    """Models of many languages that one's own may be compared with."""
    return [
        Choice(
            HUB + repo,
            f"Best known, to compare with · {repo.split('/')[-1]} · {file_size(BASES[repo].download_bytes)}",
            aside=True,
        )
        for repo in BEST_KNOWN
    ]


def _away(choice: Choice) -> Choice:
    return replace(choice, label=f"{choice.label} · needs the internet")


def own_models(settings: Settings, owner: str) -> list[Run]:
    """The owner's runs that have a model, the newest first."""
    return [run for run in list_runs(settings.runs_dir, owner) if run.has_model]


def choice_here(settings: Settings, owner: str) -> Choice:
    """What works without a download: the owner's newest model, else the one that comes with Voicetune.

    Raises UserError where there is neither.
    """
    choice = next((choice for choice in model_choices(settings, owner) if choice.here), None)
    if choice is None:
        raise UserError("There is no model yet.", "Fine-tune one, or name one of the Hub.")
    return choice


def hub_choice(language: str) -> Choice | None:
    """The Hub's model for a language; None where no good one is known."""
    repo = HUB_MODELS.get(language)
    return Choice(HUB + repo, f"{_LANGUAGES[language]} from the Hub · {repo.split('/')[-1]}") if repo else None


def remember_choice(choice: str, settings: Settings, owner: str) -> None:
    """A model of the Hub has listened well: it is offered to this owner from now on."""
    choice = choice.strip()
    if not choice.startswith((RUN, READY)):
        remember_recent(settings, owner, check_repo_id(choice.removeprefix(HUB)))


def folder_here(choice: str, settings: Settings, owner: str) -> Path | None:
    """The checkpoint's folder where nothing has to be asked of the Hub: an own model, or one that came along.

    None for a model of the Hub. Raises UserError where there is no such model, or it is not this owner's.
    """
    choice = choice.strip()
    if not choice:
        raise UserError("No model is chosen yet.", "Fine-tune one, or choose one from the list.")
    if choice.startswith(RUN):
        run = find_run(settings.runs_dir, choice.removeprefix(RUN), owner)
        if run is None or not run.has_model:
            raise UserError("That model is not there any more.", "Choose another one from the list.")
        return run.model
    if choice.startswith(READY):
        language = choice.removeprefix(READY)
        folder = starter_of(language) if language in _LANGUAGES else None
        if folder is None:
            raise UserError("That model did not come with this copy of Voicetune.", "Choose another from the list.")
        return folder
    return None


def name_of(choice: str, settings: Settings, owner: str) -> str:
    """What a choice is called within a sentence and below a transcript; a model that is gone is "your model" still."""
    choice = choice.strip()
    if choice.startswith(READY):
        return f"practice model · {_LANGUAGES.get(choice.removeprefix(READY), '')}".removesuffix(" · ")
    if not choice.startswith(RUN):
        return choice.removeprefix(HUB)
    run = find_run(settings.runs_dir, choice.removeprefix(RUN), owner)
    return f"your model · {_when(run)}" if run else "your model"


@dataclass(frozen=True)
class People:
    """How recordings of people were heard: the share of letters that were wrong, and of how many clips."""

    cer: float
    clips: int


def heard_people(language: str) -> People | None:
    """As it was measured of the starter's own letters of a language and noted beside them; None where it was not."""
    folder = starter_of(language)
    people = read_notes(folder).get("people") if folder else None
    return People(float(people["cer"]), int(people["clips"])) if people else None


def hub_id_of(choice: str) -> HubId:
    """Which model of the Hub is meant: a visitor's text is an id, even where the host has a folder of that name.

    Raises UserError where it is none.
    """
    return hub_id(choice.strip().removeprefix(HUB))


def fetched_before(choice: str, settings: Settings) -> bool:
    """Whether a model of the Hub is here, so that asking for it downloads little or nothing. Raises UserError."""
    return is_here(hub_id_of(choice), settings)


def folder_of_choice(choice: str, settings: Settings, owner: str, on_progress: DownloadProgress | None = None) -> Path:
    """The checkpoint's folder; a Hub model is fetched. `choice` is a Choice's value or a typed Hub id.

    Raises UserError where there is no such model, or it is not this owner's, and whatever `on_progress` raises.
    """
    folder = folder_here(choice, settings, owner)
    return folder or fetch(hub_id_of(choice), settings, on_progress, whole=True).folder


def _own_choices(settings: Settings, owner: str) -> list[Choice]:
    choices = []
    for number, run in enumerate(own_models(settings, owner)):
        newest = "Your newest model" if number == 0 else "Your model"
        choices.append(Choice(RUN + run.id, f"{newest} · {_when(run)}"))
    return choices


def _when(run: Run) -> str:
    """Which of a person's models it is."""
    return f"{locale_of(run.recipe().locale).english} · {moment(run.created)}"


def _ready_choices(languages: list[str]) -> list[Choice]:
    return [
        Choice(READY + language, f"Practice model · {_LANGUAGES[language]}")
        for language in languages
        if starter_of(language)
    ]


MOST = 8
MOST_OWNERS = 1000  # for whom anything is remembered: on a Space each browser is one


def recent_models(settings: Settings, owner: str) -> list[str]:
    """Their ids, the latest first; [] where nothing is remembered."""
    file = _file(settings, owner)
    try:
        ids = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [repo for repo in ids if isinstance(repo, str) and is_repo_id(repo)][:MOST] if isinstance(ids, list) else []


def remember_recent(settings: Settings, owner: str, repo_id: str) -> None:
    """Put it first. A data folder that cannot be written is no reason to fail: then nothing is remembered."""
    ids = [repo_id, *(repo for repo in recent_models(settings, owner) if repo != repo_id)][:MOST]
    file = _file(settings, owner)
    draft = file.with_name(f"{file.name}.{os.getpid()}-{uuid.uuid4().hex[:6]}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft.write_text(json.dumps(ids), encoding="utf-8")
        draft.replace(file)
        _forget_oldest(file.parent)
    except OSError:
        draft.unlink(missing_ok=True)


def _forget_oldest(folder: Path) -> None:
    files = list(folder.glob("*.json"))
    if len(files) > MOST_OWNERS:
        for old in sorted(files, key=lambda file: file.stat().st_mtime)[:-MOST_OWNERS]:
            old.unlink(missing_ok=True)


def _file(settings: Settings, owner: str) -> Path:
    """By the owner's hash, so that no name can lead elsewhere."""
    return settings.data_dir / "recent-models" / f"{hashlib.sha256(owner.encode()).hexdigest()[:32]}.json"
