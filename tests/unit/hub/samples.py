"""A model as a repo's files, and what every test asks of what it gets."""

from collections.abc import Callable
from pathlib import Path

from trainer.errors import UserError

Fetch = Callable[..., Path]  # `fetch_model` with a test's Hub and cache
CLOSED = "http://127.0.0.1:9"  # the discard port: nothing listens

MODEL = "anna/wav2vec2-small"
FILES = {
    "config.json": b'{"model_type": "wav2vec2"}',
    "preprocessor_config.json": b'{"sampling_rate": 16000}',
    "processor_config.json": b'{"feature_extractor": {}}',
    "vocab.json": b'{"a": 0}',
    "tokenizer_config.json": b'{"unk_token": "?"}',
    "special_tokens_map.json": b'{"pad_token": "_"}',
    "added_tokens.json": b'{"<s>": 1}',
    "tokenizer.json": b'{"added_tokens": []}',
    "model.safetensors": b"\7" * 300_000,
}


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def assert_warm(error: UserError) -> None:
    """Two whole sentences that hold nothing of the host."""
    for sentence in (error.what, error.todo):
        assert sentence.endswith(".")
        assert sentence[0].isupper() or sentence.startswith("anna/")
        assert not any(word in sentence for word in ("127.0.0.1", "/tmp", "hf_", "Traceback", "Error"))
