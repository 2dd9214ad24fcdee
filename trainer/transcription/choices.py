"""Which models a person can talk to: their own, and ready-made ones from the Hub."""

from dataclasses import dataclass
from pathlib import Path

from trainer.errors import UserError
from trainer.hub.ids import check_repo_id
from trainer.models.bases import READY, fetch_base
from trainer.runs.run import find_run, list_runs
from trainer.settings import Settings
from trainer.speech.locales import LOCALES, Locale, locale_of

RUN, HUB = "run:", "hub:"


@dataclass(frozen=True)
class Choice:
    """`value` is "run:<id>" or "hub:<repo id>"; `label` is for people."""

    value: str
    label: str


def model_choices(settings: Settings, owner: str, locale: Locale | None = None) -> list[Choice]:
    """The owner's fine-tuned models, the newest first, then the Hub's for this language (or for all)."""
    own = [run for run in list_runs(settings.runs_dir, owner) if run.has_model]
    choices = []
    for number, run in enumerate(own):
        spoken = locale_of(run.recipe().locale)
        when = f"{run.id[6:8]}.{run.id[4:6]}. {run.id[9:11]}:{run.id[11:13]}"
        newest = "Your newest model" if number == 0 else "Your model"
        choices.append(Choice(RUN + run.id, f"{newest} · {spoken.english} · {when}"))
    languages = [locale.language] if locale else list(dict.fromkeys(row.language for row in LOCALES.values()))
    names = {row.language: row.english.split()[-1] for row in LOCALES.values()}
    for language in languages:
        if language in READY:
            repo = READY[language]
            choices.append(Choice(HUB + repo, f"{names[language]} from the Hub · {repo.split('/')[-1]}"))
    return choices


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
    # Never `folder_of`: a visitor's text is an id on the Hub, even where the host has a folder of that name.
    return fetch_base(check_repo_id(choice.removeprefix(HUB)))
