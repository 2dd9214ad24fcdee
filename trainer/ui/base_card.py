"""What the page says of base models: pure functions from rows, estimates and fits to HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from trainer.models.base import STARTER_ID, Base
from trainer.speech.locales import LOCALES
from trainer.training.fitting import Fit, in_gb
from trainer.ui.wording import about, file_size

LICENCES = {
    "CC-BY-NC-4.0": "CC-BY-NC-4.0: not for commercial use",
    "CC-BY-SA-3.0": "CC-BY-SA-3.0: what you make of it must be shared alike",
}
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
        facts += [LICENCES.get(row.licence, row.licence), _languages(row)]
    lines = [_line(sentence), _line(" · ".join(filter(None, facts)), "facts")]
    if chosen.seconds is not None and chosen.fit:
        lines.append(_line(_here(chosen.seconds, chosen.fit), "facts"))
    if chosen.fit and not chosen.fit.fits:
        lines.append(_line(_too_large(chosen.fit), "problem"))
    elif chosen.fit and chosen.fit.tight:
        lines.append(_line("That is tight: close other programs first, or choose a smaller batch.", "problem"))
    return f'<div class="base-card">{"".join(filter(None, lines))}</div>'


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
    return f"Here: {about(seconds)}, {in_gb(fit.needed)} of the {in_gb(fit.available)} of {fit.where}"


def _too_large(fit: Fit) -> str:
    return f"It does not fit: this computer has {in_gb(fit.available)} of {fit.where}. Choose a smaller model or batch."


def _line(text: str, kind: str = "") -> str:
    return f'<p class="{kind}">{escape(text)}</p>' if text else ""
