"""python -m trainer doctor: what this machine has, and what would be chosen by default."""

import argparse
import json
import os
import shutil

import psutil

from trainer.formatting import memory_size
from trainer.hardware import gpus, this_machine
from trainer.hub.connectivity import reachable
from trainer.models.base_ref import read_base
from trainer.models.catalog import ROWS, bases_on_offer
from trainer.models.resolve import is_here
from trainer.settings import Settings
from trainer.speech.locales import locale_of
from trainer.speech.sources import kind_of, practice_locales
from trainer.training.estimate import fit_of_row, longest_clip
from trainer.training.recommendation import recommend

MICROPHONE = (
    "The browser, not this program, opens the microphone. It asks you once; it does so only on "
    "http://localhost or on a page with https."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--json for scripts."""
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(options: argparse.Namespace) -> int:
    """Prints a line a fact; exit code 0."""
    facts = examine(Settings.from_env())
    if options.json:
        print(json.dumps(facts, ensure_ascii=False))
    else:
        width = max(map(len, facts))
        for name, fact in facts.items():
            print(f"{name:<{width}}  {fact}")
    return 0


def _models(hub: bool, settings: Settings) -> dict[str, str]:
    """The base recommended for American English, and which fit this machine's memory."""
    machine = this_machine()
    found = ", ".join(gpu.words for gpu in gpus()) or "no NVIDIA GPU"
    here = {row.id for row in ROWS if is_here(read_base(row.id), settings)}
    best = recommend(locale_of("en-US"), machine, here, hub)
    longest = longest_clip("auto", settings, hub)
    sized = [(row, fit_of_row(row, machine, longest)) for row in bases_on_offer()]
    return {
        "for training": f"{memory_size(machine.memory)} of memory, {found}",
        "recommended": f"{best.base}: {best.reason}",
        "fitting": f"{sum(fit.fits for _, fit in sized)} of {len(sized)} base models; too large: "
        + (
            ", ".join(f"{row.id} ({memory_size(fit.needed)} of {fit.where})" for row, fit in sized if not fit.fits)
            or "none"
        ),
    }


def examine(settings: Settings) -> dict[str, str]:
    """The facts in the order they are read."""
    import torch
    import transformers

    from trainer.models.listening_precision import listening_precision
    from trainer.training.device import choose_device

    device, listening = choose_device(), listening_precision(settings.data_dir)
    data_dir = settings.data_dir
    while not data_dir.exists():
        data_dir = data_dir.parent
    hub = reachable(settings.hub_endpoint, settings.hub_timeout)
    default = kind_of("auto", settings)
    return {
        "torch": f"{torch.__version__}, transformers {transformers.__version__}",
        "device": f"{device.name}, {os.cpu_count()} processor cores",
        "precision": f"{device.precision}: {device.reason}",
        "listening": f"{listening.name}: {listening.reason}",
        "memory": f"{psutil.virtual_memory().available / 2**30:.1f} of "
        f"{psutil.virtual_memory().total / 2**30:.1f} GiB free",
        "disk": f"{shutil.disk_usage(data_dir).free / 2**30:.1f} GiB free for runs",
        "hub": "reachable" if hub else "out of reach: practice clips and the starter model are used instead",
        "default": f"data {default}, base starter, preset quick",
        **_models(hub, settings),
        "practice": ", ".join(practice_locales()),
        "microphone": MICROPHONE,
    }
