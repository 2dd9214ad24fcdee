"""Is this a model that may be opened? Asked of config.json before a download, of all its small files after it."""

from pathlib import Path
from typing import Any

from trainer.hub.heads import Head
from trainer.hub.inspect import SMALL_FILES
from trainer.hub.reading import read_json
from trainer.models.architectures import check_architecture, read_config
from trainer.models.limits import check_values
from trainer.models.vocabulary import read_vocabulary
from trainer.models.weights import shapes_of


class ModelChecks:
    """What a repo must be for its weights to be downloaded; the `Checks` of `hub.fetch`."""

    def config(self, config: dict[str, Any]) -> None:
        """Raises UserError for a config.json of no known kind, out of bounds, or too large for the memory."""
        from trainer.models.opening import check_builds  # transformers takes seconds, and most refusals need none of it

        check_architecture(config)
        check_builds(config)

    def rest(self, folder: Path, heads: list[Head]) -> None:
        """Raises UserError for small files that will not do, and for weights that are of another model."""
        from trainer.models.opening import check_fits

        config = check_folder(folder)
        read_vocabulary(folder)
        if heads:  # else it is a curated pickle
            check_fits(config, shapes_of(heads))


def check_folder(folder: Path) -> dict[str, Any]:
    """The config.json of a model whose small files may all be read. Raises UserError. The weights are not looked at."""
    config = read_config(folder)
    for name in SMALL_FILES[1:]:
        if name != "vocab.json" and (values := read_json(folder, name)):
            check_values(values, name)
    return config
