"""A model's folder, looked at once: whoever opens it has the answers with it; and what is noted beside it."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.errors import UserError
from trainer.hub.inspect import SMALL_FILES
from trainer.hub.repo import CONFIG
from trainer.hub.safe_json import file_in, read_json
from trainer.models.config_limits import check_values
from trainer.models.model_config import ModelConfig
from trainer.models.safetensors_header import Shapes, heads_of, read_heads, shapes_of, weight_files
from trainer.models.vocabulary import Vocabulary, read_vocabulary

NOTES = "voicetune.json"  # what we know of a model that its config has no place for: locale, base, error rates
HEADS = "heads"  # a body's folder of heads, one folder each
HEAD = "head.safetensors"  # of a head apart: the linear map to the labels alone
_PIECES = ("tokenizer.json", "model")


@dataclass(frozen=True)
class ModelFiles:
    """A folder whose small files may all be read, its config.json, and the shapes that its safetensors files hold.

    It may take `most_bytes` of memory. `memory` are the bytes that it does take, known once names and shapes were
    compared with the model that the config describes; None: they were not yet.

    `head` is a folder with another output layer for the same body, and the letters and notes that belong to it; config
    and shapes are then those of both together. `whole`: to be heard with as it is, a decoder too where it has one.
    """

    folder: Path
    config: ModelConfig
    shapes: Shapes
    most_bytes: int
    memory: int | None = None
    head: Path | None = None
    whole: bool = False

    @property
    def seq2seq(self) -> bool:
        """Whether it is to be heard with by its decoder, which writes pieces of words instead of letters."""
        return self.whole and not self.config.has_letters

    @property
    def notes_folder(self) -> Path:
        """Where its letters and what is noted of it (`read_notes`) lie."""
        return self.head or self.folder

    @property
    def weights(self) -> list[Path]:
        """Its safetensors files; what a later one holds goes before what an earlier one does. Raises UserError."""
        return [*weight_files(self.folder, self.whole), *([] if self.head is None else [_head_file(self.head)])]

    @property
    def weights_bytes(self) -> int:
        """Of memory that its weights take in fp32, as which they are read."""
        return 4 * sum(math.prod(shape) for shape in self.shapes.values())

    def vocabulary(self) -> Vocabulary | None:
        """The letters that it writes; None where it was not taught any. Raises what `read_vocabulary` raises."""
        return read_vocabulary(self.notes_folder) if self.head or self.config.has_letters else None


def read_model(folder: Path, most_bytes: int, whole: bool = False) -> ModelFiles:
    """Look at a model's folder, or at that of a head apart, which lies in `heads/` of its body; `whole` as of
    `ModelFiles`.

    Raises UserError where its files will not do, or do not belong together. No byte of the weights is read.
    """
    head = folder if is_head(folder) else None
    folder = folder.parent.parent if head else folder
    config = ModelConfig.read(folder)
    check_small_files(folder)
    shapes = shapes_of(read_heads(folder, whole))
    if head is None:
        return ModelFiles(folder, config, shapes, most_bytes, whole=whole)
    check_small_files(head)
    output, layer = shapes_of(heads_of([_head_file(head)])), config.architecture.output_layer
    labels = output.get(f"{layer}.bias", ())
    if output.keys() != {f"{layer}.weight", f"{layer}.bias"} or len(labels) != 1:
        raise UserError("These letters were made for another kind of model.", "Choose another model.")
    return ModelFiles(
        folder, ModelConfig({**config.values, "vocab_size": labels[0]}), shapes | output, most_bytes, head=head
    )


def check_small_files(folder: Path) -> None:
    """Raises UserError where a small file beside config.json is broken, names code or leads elsewhere."""
    for name in SMALL_FILES[1:]:
        if name != "vocab.json" and (values := read_json(folder, name)):
            # Pieces of words and how they are joined may look like paths (".." and "://" are such): they open nothing.
            check_values({key: value for key, value in values.items() if (name, key) != _PIECES}, name)


def is_head(folder: Path) -> bool:
    """Whether it holds letters for a body, and no model of its own."""
    return (folder / HEAD).is_file() and not (folder / CONFIG).exists() and folder.parent.name == HEADS


def _head_file(folder: Path) -> Path:
    file = file_in(folder, HEAD)
    if file is None:
        raise UserError(f"There is no {HEAD} in the folder of these letters.", "Choose another model.")
    return file


def read_notes(folder: Path) -> dict[str, Any]:
    """What `save` noted; {} for a checkpoint from elsewhere."""
    try:
        notes = json.loads((folder / NOTES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return notes if isinstance(notes, dict) else {}


def add_notes(folder: Path, **values: Any) -> None:
    """Note more of a saved model. Its notes are there whole at any moment: they are written beside it and renamed."""
    draft = folder.with_name(NOTES + ".part")
    draft.write_text(json.dumps(read_notes(folder) | values, indent=2, ensure_ascii=False), encoding="utf-8")
    draft.replace(folder / NOTES)
