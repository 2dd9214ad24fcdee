"""Which base models a visitor can choose now, and why the others cannot be chosen."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from trainer.models.base import Base
from trainer.models.base_table import ROWS
from trainer.models.bases import BASES, is_here, why_not_on_offer
from trainer.runs.run import list_runs
from trainer.settings import Settings
from trainer.speech.locales import Locale
from trainer.training.estimate import estimate_seconds
from trainer.training.fitting import in_gb, longest_clip
from trainer.training.hardware import Machine, this_machine
from trainer.training.recommending import fit_of_row, recipe_for, recommend
from trainer.ui.base_card import base_label

RUNS_LOOKED_AT = 30
MOST_WORKED = 6
AWAY = "Needs the Hugging Face Hub, which is out of reach."


@dataclass(frozen=True)
class Offers:
    """`choices` are labels and ids; `recommended` a line of HTML; `not_now` rows with the reason."""

    choices: list[tuple[str, str]]
    recommended: str
    not_now: list[tuple[Base, str]]


def offer(locale: Locale, settings: Settings, hub: bool | None, worked: Sequence[str] = ()) -> Offers:
    """For a language. `hub`: whether it can be reached, None while nobody knows; `worked`: ids used before.

    Models that write another language are left out: there is a better one for this language, or one for all.
    """
    machine = this_machine()
    rows = [row for row in ROWS if row.writes in (None, locale.language)]
    here = {row.id for row in rows if is_here(row.id)} if hub is False else {ROWS[0].id}
    reasons = {row.id: why_not(row, settings, hub, row.id in here, machine) for row in rows}
    best = recommend(locale, machine, here, hub)
    usable = sorted((row for row in rows if not reasons[row.id]), key=lambda row: row.id != best.base)
    choices = [(_label(row, row.id in here, settings), row.id) for row in usable]
    choices += [(f"{repo} · worked before", repo) for repo in worked if repo not in BASES]
    line = f"<strong>Recommended: {escape(BASES[best.base].title)}.</strong> {escape(best.reason)}"
    refused = [(row, reasons[row.id]) for row in rows if reasons[row.id]]
    return Offers(choices, f'<p class="message quiet">{line}</p>', refused)


def why_not(row: Base, settings: Settings, hub: bool | None, here: bool, machine: Machine) -> str:
    """Why a row cannot be chosen now; "" where it can."""
    if reason := why_not_on_offer(row):
        return reason
    fit = fit_of_row(row, machine, longest_clip("auto", settings, hub))
    if not fit.fits:
        return f"Needs {in_gb(fit.needed)} of {fit.where}; this computer has {in_gb(fit.available)}."
    return AWAY if hub is False and not here else ""


def worked_before(settings: Settings, owner: str) -> list[str]:
    """Hub ids from which this owner has trained a model, the latest first."""
    runs = [run for run in list_runs(settings.runs_dir, owner)[:RUNS_LOOKED_AT] if run.has_model]
    bases = dict.fromkeys(str(run.config().get("recipe", {}).get("base", "")) for run in runs)
    return [base for base in bases if base and not base.startswith((".", "/", "~"))][:MOST_WORKED]


def _label(row: Base, here: bool, settings: Settings) -> str:
    return base_label(row, here, estimate_seconds(recipe_for(row), settings))
