"""The processor saved beside a model, so that stock `pipeline` and `from_pretrained` open it."""

import json
from pathlib import Path
from typing import Any

from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2Processor

from trainer.models.architectures import wants_attention_mask
from trainer.models.vocabulary import Vocabulary
from trainer.speech.audio import SAMPLE_RATE


def feature_extractor_for(folder: Path, config: dict[str, Any]) -> Wav2Vec2FeatureExtractor:
    """As the base was trained: whether sound is brought to mean 0 and variance 1 is in its preprocessor_config."""
    normalises = True  # the default of every published base
    for name in ("processor_config.json", "preprocessor_config.json"):  # as transformers 5 and 4 save it
        try:
            values = json.loads((folder / name).read_text(encoding="utf-8"))
            normalises = bool(values.get("feature_extractor", values)["do_normalize"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
        break
    return Wav2Vec2FeatureExtractor(
        feature_size=1,
        sampling_rate=SAMPLE_RATE,
        padding_value=0.0,
        do_normalize=normalises,
        return_attention_mask=wants_attention_mask(config),
    )


def save_processor(folder: Path, extractor: Wav2Vec2FeatureExtractor, vocabulary: Vocabulary) -> None:
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
    Wav2Vec2Processor(feature_extractor=extractor, tokenizer=tokenizer).save_pretrained(folder)
