"""What the page says of base models: pure functions from rows, estimates and fits to HTML."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import gradio as gr

from trainer.errors import UserError
from trainer.formatting import about, file_size, memory_size
from trainer.hardware import Machine, this_machine
from trainer.models.base_ref import HubId, read_base
from trainer.models.catalog import BASES, ROWS, STARTER_ID, Base, why_not_on_offer
from trainer.models.resolve import is_here
from trainer.models.size import ask_sizes, sizes_of
from trainer.publishing.options import LICENCES
from trainer.runs.run import Run, list_runs
from trainer.settings import Settings
from trainer.speech.locales import LOCALES, Locale, locale_of
from trainer.training.estimate import Fit, estimate_seconds, fit_of, fit_of_row, longest_clip, recipe_for
from trainer.training.recommendation import recommend
from trainer.ui.components import explain, fragment
from trainer.ui.hub_search import Finder, build_finder
from trainer.ui.recipe_form import Form, base_of, fill_for_base, filling, recipe_of
from trainer.ui.visitors import Visitor

UNKNOWN = "I do not know this model yet. Its size is looked up before anything large is downloaded."


@dataclass(frozen=True)
class Chosen:
    """All that is told of the base that is chosen. `row` None: it is not in the table."""

    base: str
    row: Base | None
    here: bool  # needs no download
    seconds: float | None = None  # from Start to the model
    fit: Fit | None = None
    download: int | None = None  # bytes
    problem: str = ""  # why it cannot be had


def base_title(base: str, row: Base | None) -> str:
    """Its name for people: the table's, else the repo's without its owner."""
    return row.title if row else base.rstrip("/").split("/")[-1][:60]


def fold_label(base: str, row: Base | None) -> str:
    """What the folded chooser is called."""
    return f"Model: {base_title(base, row)}"


def base_card(chosen: Chosen) -> str:
    """A sentence, then facts, then whether it fits."""
    row = chosen.row
    sentence = row.sentence if row else ("" if chosen.fit else UNKNOWN)
    if chosen.problem:
        return f'<div class="base-card">{_line(chosen.problem, "problem")}</div>'
    facts = [_download(chosen)]
    if row:
        facts += [_licence(row.licence), _languages(row)]
    lines = [_line(sentence), _line(" · ".join(filter(None, facts)), "facts")]
    if chosen.seconds is not None and chosen.fit:
        lines.append(_line(_here(chosen.seconds, chosen.fit), "facts"))
    if chosen.fit and not chosen.fit.fits:
        lines.append(_line(_too_large(chosen.fit), "problem"))
    elif chosen.fit and chosen.fit.tight:
        lines.append(_line("That is tight: close other programs first, or choose a smaller batch.", "problem"))
    return f'<div class="base-card">{"".join(filter(None, lines))}</div>'


def _licence(name: str) -> str:
    """ "CC-BY-NC-4.0: not for commercial use"."""
    asks = LICENCES[name.lower()].asks
    return f"{name}: {asks}" if asks else name


def not_now(rows: Sequence[tuple[Base, str]]) -> str:
    """The models that cannot be chosen here now, each with the reason; folded, "" where there are none."""
    if not rows:
        return ""
    # The same reason for several is said once.
    reasons: dict[str, list[str]] = {}
    for row, reason in rows:
        reasons.setdefault(reason, []).append(row.title)
    items = "".join(
        f"<dt>{escape(', '.join(names))}</dt><dd>{escape(reason)}</dd>" for reason, names in reasons.items()
    )
    return (
        f'<details class="not-now"><summary>Not on this computer now: {len(rows)}</summary><dl>{items}</dl></details>'
    )


def base_label(row: Base, here: bool, seconds: float) -> str:
    """An entry of the list: name, what has to be downloaded, how long it takes here."""
    size = "" if row.id == STARTER_ID else ("here already" if here else file_size(row.download_bytes))
    return " · ".join(filter(None, [row.title, size, about(seconds)]))


def _download(chosen: Chosen) -> str:
    if chosen.base == STARTER_ID:
        return "Comes with Voicetune"
    if chosen.here:
        return "On this computer already"
    return f"{file_size(chosen.download)} to download" if chosen.download else ""


def _languages(row: Base) -> str:
    if row.id == STARTER_ID:
        return ""
    if row.writes:
        return f"writes {_name(row.writes)}"
    return f"heard {', '.join(map(_name, row.heard))}" if row.heard else "heard very many languages"


def _name(language: str) -> str:
    return next((row.english_language for row in LOCALES.values() if row.language == language), language)


def _here(seconds: float, fit: Fit) -> str:
    return f"Here: {about(seconds)}, {memory_size(fit.needed)} of the {memory_size(fit.available)} of {fit.where}"


def _too_large(fit: Fit) -> str:
    there = f"{memory_size(fit.available)} of {fit.where}"
    return f"It does not fit: this computer has {there}. Choose a smaller model or batch."


def _line(text: str, kind: str = "") -> str:
    return f'<p class="{kind}">{escape(text)}</p>' if text else ""


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
    here = {row.id for row in rows if is_here(read_base(row.id), settings)} if hub is False else {ROWS[0].id}
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
        return f"Needs {memory_size(fit.needed)} of {fit.where}; this computer has {memory_size(fit.available)}."
    return AWAY if hub is False and not here else ""


def recent_bases(settings: Settings, owner: str) -> list[str]:
    """Hub ids from which this owner has trained a model, the latest first."""
    runs = [run for run in list_runs(settings.runs_dir, owner)[:RUNS_LOOKED_AT] if run.has_model]
    bases = dict.fromkeys(filter(None, map(_hub_base, runs)))
    return [base.id for base in bases][:MOST_WORKED]


def _hub_base(run: Run) -> HubId | None:
    try:
        base = read_base(str(run.recipe_values.get("base", "")))
    except UserError:
        return None
    return base if isinstance(base, HubId) else None


def _label(row: Base, here: bool, settings: Settings) -> str:
    return base_label(row, here, estimate_seconds(recipe_for(row), settings))


@dataclass(frozen=True)
class Chooser:
    """Its components. `base` is also a field of the form."""

    fold: gr.Accordion
    recommended: gr.HTML
    base: gr.Dropdown
    card: gr.HTML
    not_now: gr.HTML
    finder: Finder


def build_chooser(first: Form, settings: Settings) -> Chooser:
    """Lay it out, filled with the form's base and what is on offer while nobody knows whether the Hub is there."""
    offered = offer(locale_of(first.locale), settings, None)
    with gr.Accordion(fold_label(first.base, BASES.get(first.base)), open=False, elem_id="model-choice") as fold:
        recommended = fragment(offered.recommended, elem_id="recommended")
        base = gr.Dropdown(
            offered.choices,
            value=first.base,
            label="Base model",
            info="What is taught. Choose one, or type the name of any CTC model on the Hub",
            allow_custom_value=True,
            elem_id="base",
        )
        card = fragment("", elem_id="base-card")
        others = fragment(not_now(offered.not_now), elem_id="not-now")
        finder = build_finder("base")
    return Chooser(fold, recommended, base, card, others, finder)


@dataclass(frozen=True)
class ChooserHandlers:
    """Answers for all visitors; holds nothing but the settings."""

    settings: Settings

    def offers(self, visitor: Visitor, hub: bool | None, locale: str) -> list[Any]:
        """The list, the line with the recommendation, and those that cannot be chosen now."""
        worked = recent_bases(self.settings, visitor.owner)
        offered = offer(locale_of(locale), self.settings, hub, worked)
        return [gr.update(choices=offered.choices), offered.recommended, not_now(offered.not_now)]

    def describe(self, form: Form, hub: bool | None) -> list[Any]:
        """The name on the fold, and the card."""
        if not form.base:
            return [gr.update(label="Model"), base_card(Chosen("", None, here=False, problem="No model is chosen."))]
        return [gr.update(label=fold_label(form.base, BASES.get(form.base))), base_card(self._chosen(form, hub))]

    def look_up(self, form: Form, hub: bool | None) -> Any:
        """The card again for a base that only the Hub knows: its sizes are asked for. Takes seconds."""
        if not form.base or hub is False:
            return gr.skip()
        try:
            base = base_of(form.base, self.settings)
            if not isinstance(base, HubId) or sizes_of(base):
                return gr.skip()
            ask_sizes(base, self.settings)
            return base_card(self._chosen(form, hub))
        except Exception as error:
            return base_card(Chosen(form.base, None, here=False, problem=explain(error)))

    def fill(self, form: Form) -> list[Any]:
        """The fields as the chosen base wants them: another preset, where the chosen one is not made for it."""
        return filling(fill_for_base(form), form)

    def take(self, form: Form, found: str | None) -> list[Any]:
        """A base from the search's list, as if it had been typed."""
        if not found:
            raise UserError("Nothing was found yet.", "Search first.")
        return filling(fill_for_base(replace(form, base=found)), form)

    def _chosen(self, form: Form, hub: bool | None) -> Chosen:
        row = BASES.get(form.base)
        try:
            recipe = recipe_of(form, self.settings)
        except UserError as error:
            return Chosen(form.base, row, here=False, problem=explain(error))
        here, sizes = is_here(recipe.base_ref, self.settings), sizes_of(recipe.base_ref)
        if sizes is None:
            return Chosen(form.base, row, here)
        fit = fit_of(recipe, sizes, longest_clip(recipe.data, self.settings, hub), this_machine())
        seconds = estimate_seconds(recipe, self.settings, sizes.shape)
        return Chosen(form.base, row, here, seconds, fit, sizes.download_bytes)
