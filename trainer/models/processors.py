"""The processor saved beside a model, so that stock `pipeline` and `from_pretrained` open it."""

import json
from pathlib import Path
from typing import Any

from transformers import SequenceFeatureExtractor, Wav2Vec2CTCTokenizer

from trainer.errors import UserError
from trainer.models.architectures import ARCHITECTURES, wants_attention_mask
from trainer.models.listeners import LISTENERS, check_saved, read_saved
from trainer.models.vocabulary import Vocabulary


def feature_extractor_for(folder: Path, config: dict[str, Any]) -> SequenceFeatureExtractor:
    """As the base was trained: what varies between bases of a kind is in the extractor's file beside it.

    Raises UserError for a base that hears in a way that is not known here, or whose files are broken.
    """
    listener, saved = LISTENERS[ARCHITECTURES[config["model_type"]].listener], read_saved(folder)
    check_saved(saved, listener.fixed)
    try:
        extractor = listener.extractor(config, saved)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise UserError("This model's files do not tell how it listens.", "Choose another model.") from error
    extractor.return_attention_mask = wants_attention_mask(config)
    return extractor


def save_processor(
    folder: Path, extractor: SequenceFeatureExtractor, vocabulary: Vocabulary, config: dict[str, Any]
) -> None:
    """Write vocab.json, tokenizer and feature extractor into a model's folder."""
    file = folder / "vocab.json"
    file.write_text(json.dumps(dict(vocabulary.tokens), ensure_ascii=False, indent=1), encoding="utf-8")
    tokenizer = Wav2Vec2CTCTokenizer(
        str(file),
        # None: else <s> and </s> would be added to the vocabulary, and the head would lack their rows.
        bos_token="<s>" if "<s>" in vocabulary.tokens else None,
        eos_token="</s>" if "</s>" in vocabulary.tokens else None,
        unk_token=vocabulary.unknown,
        pad_token=vocabulary.pad,
        word_delimiter_token=vocabulary.delimiter,
    )
    processor: Any = LISTENERS[ARCHITECTURES[config["model_type"]].listener].processor
    processor(feature_extractor=extractor, tokenizer=tokenizer).save_pretrained(folder)
