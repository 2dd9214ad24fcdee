"""Does a training fit this machine? Told before it starts, with the reason."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainer.errors import UserError
from trainer.models.sizes import Sizes, ask_sizes, sizes_of
from trainer.settings import Settings
from trainer.speech.sources import kind_of
from trainer.training.footprint import footprint
from trainer.training.hardware import Machine, this_machine
from trainer.training.recipe import Recipe

PRACTICE_SECONDS = 6.0  # the longest of the practice clips
TIGHT = 0.8  # of what there is: other programs want memory too, and the estimate is no better


@dataclass(frozen=True)
class Fit:
    """Bytes that a training needs, and that there are. `where` says of which memory."""

    needed: int
    available: int
    where: Literal["memory", "GPU memory"]

    @property
    def fits(self) -> bool:
        """Whether it can be started at all."""
        return self.needed <= self.available

    @property
    def tight(self) -> bool:
        """It fits, with little to spare."""
        return self.fits and self.needed > TIGHT * self.available


def longest_clip(data: str, settings: Settings, hub: bool | None) -> float:
    """Seconds that the longest clip of this data may have; `hub` None: not known whether it can be reached."""
    practice = data == "practice" or (data == "auto" and hub is False)
    return PRACTICE_SECONDS if practice else settings.max_clip_seconds


def fit_of(recipe: Recipe, sizes: Sizes, longest_seconds: float, machine: Machine) -> Fit:
    """The memory that is scarcer for it."""
    needed = footprint(recipe, sizes, longest_seconds, machine.gpu is not None)
    fits = [Fit(needed.memory, machine.memory, "memory")]
    if machine.gpu is not None and needed.gpu is not None:
        fits.append(Fit(needed.gpu, machine.gpu, "GPU memory"))
    return max(fits, key=lambda fit: fit.needed / max(1, fit.available))


def check_fits(recipe: Recipe, settings: Settings, hub: bool | None = None, ask: bool = True) -> None:
    """Raises UserError where the training cannot fit this machine's memory.

    With `ask`, the Hub is asked for the sizes of a base that nobody here knows, which takes seconds and may raise
    UserError too; without, such a base passes.
    """
    folder = Path(recipe.base).expanduser()
    base = str(folder.resolve()) if ask and folder.is_dir() else recipe.base
    sizes = sizes_of(base)
    if sizes is None:
        if not ask or base.startswith((".", "/", "~")):  # no model's folder: opening it will say so
            return
        sizes = ask_sizes(base)
    if hub is None and ask:
        hub = kind_of(recipe.data, settings) != "practice"
    fit = fit_of(recipe, sizes, longest_clip(recipe.data, settings, hub), this_machine())
    if not fit.fits:
        raise UserError(
            f"This training needs about {in_gb(fit.needed)} of {fit.where}, and this computer has "
            f"{in_gb(fit.available)}.",
            "Choose a smaller base model, or a smaller batch under Advanced.",
        )


def in_gb(count: int) -> str:
    """Bytes of memory for people: "6.5 GB", "24 GB"; counted as memory is sold, 2**30."""
    size = count / 2**30
    return f"{size:.1f} GB".replace(".0 ", " ") if size < 9.95 else f"{size:.0f} GB"
