"""Which models a person can talk to: their own, one that comes with Voicetune, and ready-made ones from the Hub."""

from dataclasses import dataclass
from pathlib import Path

from trainer.errors import UserError
from trainer.hub.ids import check_repo_id
from trainer.models.bases import HUB_MODELS, fetch_base
from trainer.runs.run import Run, find_run, list_runs
from trainer.settings import READY_MADE, Settings
from trainer.speech.locales import LOCALES, Locale, locale_of
from trainer.transcription.worked import remember_worked, worked

RUN, READY, HUB = "run:", "ready:", "hub:"

_LANGUAGES = {row.language: row.english_language for row in LOCALES.values()}  # as the lists say it


@dataclass(frozen=True)
class Choice:
    """`value` is "run:<id>", "ready:<locale>" or "hub:<repo id>"; `label` is for people."""

    value: str
    label: str

    @property
    def here(self) -> bool:
        """Whether it works without a download."""
        return not self.value.startswith(HUB)


def model_choices(settings: Settings, owner: str, locale: Locale | None = None) -> list[Choice]:
    """The owner's fine-tuned models, the newest first; then for this language (or all) what is here, and the Hub's."""
    languages = [locale.language] if locale else list(_LANGUAGES)
    hub = [choice for language in languages if (choice := hub_choice(language))]
    listed = {choice.value for choice in hub}
    before = [Choice(HUB + repo, f"Used before · {repo}") for repo in worked(settings, owner)]
    again = [choice for choice in before if choice.value not in listed]
    return [*_own_choices(settings, owner), *_ready_choices(languages), *again, *hub]


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
        remember_worked(settings, owner, check_repo_id(choice.removeprefix(HUB)))


def folder_of_choice(choice: str, settings: Settings, owner: str) -> Path:
    """The checkpoint's folder; a Hub model is fetched. `choice` is a Choice's value or a typed Hub id.

    Raises UserError where there is no such model, or it is not this owner's.
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
        folder = READY_MADE.get(choice.removeprefix(READY))
        if folder is None or not _holds_model(folder):
            raise UserError("That model did not come with this copy of Voicetune.", "Choose another from the list.")
        return folder
    # Never `folder_of`: a visitor's text is an id on the Hub, even where the host has a folder of that name.
    return fetch_base(check_repo_id(choice.removeprefix(HUB)))


def _own_choices(settings: Settings, owner: str) -> list[Choice]:
    choices = []
    for number, run in enumerate(own_models(settings, owner)):
        spoken = locale_of(run.recipe().locale)
        when = f"{run.id[6:8]}.{run.id[4:6]}. {run.id[9:11]}:{run.id[11:13]}"
        newest = "Your newest model" if number == 0 else "Your model"
        choices.append(Choice(RUN + run.id, f"{newest} · {spoken.english} · {when}"))
    return choices


def _ready_choices(languages: list[str]) -> list[Choice]:
    return [
        Choice(READY + code, f"Practice model · {_LANGUAGES[locale_of(code).language]}")
        for code, folder in READY_MADE.items()
        if locale_of(code).language in languages and _holds_model(folder)
    ]


def _holds_model(folder: Path) -> bool:
    return (folder / "config.json").is_file()
