"""What an ONNX export consists of, and whether there can be one. Imports no torch.

A folder: the graph, the letters, and a script that needs no more than numpy, soundfile and onnxruntime. The graph,
of opset 17, takes `waveform` (1, samples), float32 in [-1, 1], mono at 16 kHz, of as many samples as wanted within
what the model can hear at once, and gives `logits` (1, frames, labels), float32.
"""

import importlib.util
import re
from pathlib import Path
from string import Template

from trainer.errors import UserError
from trainer.models.model_config import ModelConfig
from trainer.models.vocabulary import Vocabulary
from trainer.speech.audio import SAMPLE_RATE
from trainer.speech.text import SEPARATOR, from_units, has_han

GRAPH, LETTERS, SCRIPT = "model.onnx", "vocab.json", "transcribe_onnx.py"
OPSET = 17  # the first with layer norms, so that most runtimes read it
INPUT, OUTPUT = "waveform", "logits"
# The exporter holds the weights several times, and a graph of 2 GB cannot be written as one file.
MOST_PARAMETERS = 400_000_000
MOST_SECONDS = 30  # that the script hears at once
_TEMPLATE = Path(__file__).with_name("transcribe_onnx.txt")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def check_exportable(config: ModelConfig) -> None:
    """Raises UserError where a model of this kind has no ONNX graph, or what writes one is not installed."""
    if not config.architecture.onnx:
        raise UserError(
            f"Models of the kind {config.architecture.title} have no ONNX file: what they hear is worked out before "
            "the model, in a way that I cannot put into it.",
            "Use it with Transformers.",
        )
    if importlib.util.find_spec("onnx") is None:
        raise UserError("To write ONNX files I need a package that is not installed here.", "Run: pip install onnx")


def script(config: ModelConfig, vocabulary: Vocabulary) -> str:
    """The program that goes along: from a sound file to the text that the model hears in it."""
    letters = vocabulary.letters
    spaces = {number for number, letter in letters.items() if letter == SEPARATOR or letter.isspace()}
    spaces |= {vocabulary.tokens[name] for name in (vocabulary.delimiter,) if name in vocabulary.tokens}
    silent = {
        number
        for token, number in vocabulary.tokens.items()
        if number not in letters or _CONTROL.search(token) or not from_units(letters[number])
    }
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        rate=SAMPLE_RATE,
        shortest=config.shortest,
        longest=min(MOST_SECONDS * SAMPLE_RATE, config.longest or MOST_SECONDS * SAMPLE_RATE),
        silent=sorted(silent - spaces),
        spaces=sorted(spaces),
        space="" if has_han("".join(letters.values())) else " ",  # as `from_units`: none beside Han characters
        lower=vocabulary.lowers,
    )
