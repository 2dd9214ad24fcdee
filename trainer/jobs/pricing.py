"""Machines for rent, their prices, and what a recipe would take on one. Needs no torch."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainer.settings import Settings
from trainer.training.estimate import estimate_seconds, machine_gflops
from trainer.training.recipe import Recipe

if TYPE_CHECKING:
    from huggingface_hub import HfApi
# Billions of operations a second in training, guessed from data sheets and meant to be too low; not measured.
_GFLOPS = {"T4": 5e3, "L4": 12e3, "A10G": 15e3, "L40S": 40e3, "A100": 60e3, "H200": 100e3, "RTX PRO 6000": 60e3}
_SLOWEST = min(_GFLOPS.values())
MINUTES_TO_BEGIN = 5.0  # waiting for the machine, installing packages, fetching the base: a guess
_PER_HOUR = {"minute": 60, "hour": 1, "second": 3600}
SHORTEST_LIMIT, LONGEST_LIMIT = 10, 24 * 60  # minutes


@dataclass(frozen=True)
class Flavor:
    """One kind of machine. `name` is the Hub's, `title` for people; price in US dollars."""

    name: str
    title: str
    usd_an_hour: float
    gflops: float

    @property
    def label(self) -> str:
        """ "Nvidia T4 - small · 16 GB · $0.40 an hour"."""
        return f"{self.title} · ${self.usd_an_hour:.2f} an hour"


@dataclass(frozen=True)
class Offer:
    """What a training would take and cost, roughly, and the limit at which it is stopped. Money in US dollars."""

    minutes: float
    usd: float
    limit_minutes: int
    most_usd: float


def list_flavors(api: "HfApi") -> list[Flavor]:
    """Those with one GPU, the cheapest first, at the prices that the Hub names now."""
    found = []
    for row in api.list_jobs_hardware():
        if row.accelerator is None or row.accelerator.type != "gpu" or row.accelerator.quantity != "1":
            continue
        if row.unit_label not in _PER_HOUR:
            continue  # a price that cannot be told is not offered
        found.append(
            Flavor(
                row.name,
                f"{row.pretty_name} · {row.accelerator.vram}",
                row.unit_cost_micro_usd / 1e6 * _PER_HOUR[row.unit_label],
                next((speed for name, speed in _GFLOPS.items() if name in row.accelerator.model.upper()), _SLOWEST),
            )
        )
    return sorted(found, key=lambda flavor: flavor.usd_an_hour)


def offer(recipe: Recipe, flavor: Flavor, settings: Settings, limit_minutes: float | None = None) -> Offer:
    """Minutes and money for a recipe on a machine. Without a limit given, three times the estimate is taken."""
    here = estimate_seconds(recipe, settings)
    minutes = MINUTES_TO_BEGIN + here * min(1.0, machine_gflops() / flavor.gflops) / 60
    limit = limit_minutes or max(SHORTEST_LIMIT, 5 * math.ceil(3 * minutes / 5))
    limit = int(min(LONGEST_LIMIT, max(1, limit)))
    return Offer(minutes, minutes / 60 * flavor.usd_an_hour, limit, limit / 60 * flavor.usd_an_hour)
