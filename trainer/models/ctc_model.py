"""Opening checkpoints: a base to train from, or a model to listen with. Safetensors only, no code from the repo."""

import json
import math
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    ParakeetFeatureExtractor,
    ParakeetProcessor,
    PreTrainedModel,
    ProcessorMixin,
    SeamlessM4TFeatureExtractor,
    SequenceFeatureExtractor,
    Wav2Vec2BertProcessor,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Processor,
)
from transformers.utils import logging

from trainer.errors import UserError
from trainer.hub.cache import release
from trainer.hub.safe_json import CONFIG_BYTES, read_json
from trainer.models.architectures import Architecture
from trainer.models.build import load
from trainer.models.frames import HOP, WINDOW
from trainer.models.language_model import LanguageModel
from trainer.models.layers_apart import take_apart
from trainer.models.mctct import MCTCTFeatureExtractor
from trainer.models.model_config import ModelConfig
from trainer.models.model_files import NOTES, ModelFiles
from trainer.models.padding import clip_lengths, ignore_padding
from trainer.models.quick_layers import quicken, quickly
from trainer.models.vocabulary import Vocabulary
from trainer.models.whisper_ctc import WhisperCTCFeatureExtractor
from trainer.speech.audio import SAMPLE_RATE, from_16_bit, to_16_bit

# That a base gets a new head is no warning here, and a load takes less time than its progress bar.
logging.set_verbosity_error()
logging.disable_progress_bar()
BLANK_BIAS = 2.0  # logit; those of a new head's other labels are within 1 of 0


@dataclass(frozen=True)
class Checkpoint:
    """A model with all that is needed to use it."""

    model: PreTrainedModel
    extractor: Any  # a SequenceFeatureExtractor, which declares no call
    vocabulary: Vocabulary
    config: ModelConfig
    quick: bool = False  # made so by `quickened`

    @property
    def architecture(self) -> Architecture:
        """The row of its model type."""
        return self.config.architecture

    def frames(self, samples: int) -> int:
        """CTC frames for so many samples at 16 kHz; 0 where they are too few to be heard."""
        return self.config.frames(samples)

    @property
    def stride(self) -> int:
        """Samples at 16 kHz from one CTC frame to the next."""
        return self.config.stride

    def fit(self, waveform: np.ndarray) -> np.ndarray:
        """A clip as the model can hear it: with silence after one too short for a single frame.

        It is rounded to 16 bits, as clips to train on are kept. Where a band of sound is empty (all above 4 kHz in what
        was recorded at 8 kHz), the rounding is all that is heard there, and features that are normalised band by band
        make it as loud as speech: without it, it would sound like another band.
        """
        waveform = from_16_bit(to_16_bit(waveform[: self.config.kept(len(waveform))]))
        return np.pad(waveform, (0, max(0, self.config.shortest - len(waveform))))

    @property
    def longest(self) -> int | None:
        """The most samples that are well heard at once; None where there is no most."""
        return self.config.longest

    def clip_lengths(self, samples: torch.Tensor) -> AbstractContextManager[None]:
        """Inside, a padded batch whose clips have so many samples is heard as if each were alone."""
        first = torch.tensor([self.config.first_frames(int(length)) for length in samples])
        encoder = torch.tensor([self.config.encoder_frames(int(length)) for length in samples])
        return clip_lengths(self.model, first, encoder)

    def quickened(self) -> "Checkpoint":
        """The same model, changed to listen quicker with bf16 instructions: `quick_layers`. It cannot learn then."""
        quicken(self.model, self.architecture.output_layer)
        return replace(self, quick=True)

    def arithmetic(self) -> AbstractContextManager[Any]:
        """Inside, the model is called."""
        return quickly(self.model) if self.quick else nullcontext()

    @property
    def bytes(self) -> int:
        """That its weights take in memory."""
        return sum(weight.nbytes for weight in (*self.model.parameters(), *self.model.buffers()))

    def freeze_front_end(self) -> None:
        """Leave the convolutions as they were pretrained: they cost a third of a step and rarely gain from it."""
        if self.architecture.freezes:
            freeze: Any = self.model.freeze_feature_encoder  # their base class has it not
            freeze()

    def freeze_layers(self, count: int) -> None:
        """Leave the front end and the lowest `count` layers as they are: only with `Architecture.layers_apart`."""
        freeze: Any = self.model.freeze_layers  # likewise
        freeze(count)

    def save(self, folder: Path, notes: dict[str, Any], phrases: LanguageModel | None = None) -> None:
        """Write the standard layout. The folder appears whole or not at all: it is made beside and renamed."""
        draft, old = folder.with_name(folder.name + ".part"), folder.with_name(folder.name + ".old")
        _remove(draft)
        try:
            self.model.save_pretrained(draft)
            save_processor(draft, self.extractor, self.vocabulary, self.config)
            (draft / NOTES).write_text(json.dumps(notes, indent=2, ensure_ascii=False), encoding="utf-8")
            if phrases:
                phrases.save(draft)
        except BaseException:
            _remove(draft)  # a full disk has room again, if only to say so
            raise
        _remove(old)
        if folder.exists():
            folder.rename(old)
        draft.rename(folder)
        _remove(old)


def open_checkpoint(files: ModelFiles) -> Checkpoint:
    """A fine-tuned model, ready to listen. Raises UserError where it is not one."""
    vocabulary = files.vocabulary()
    if vocabulary is None and not files.config.has_letters:
        raise _untaught()
    if vocabulary is None:
        raise UserError(
            "This model was only pretrained: it has no list of letters yet.",
            "Fine-tune it first, or choose one that was fine-tuned for speech recognition.",
        )
    labels = {} if files.config.labels else {"vocab_size": vocabulary.labels}
    model, new_weights = _load(files, {"pad_token_id": vocabulary.blank, **labels})
    if any(name.startswith(files.config.architecture.head) for name in new_weights):
        raise _untaught()
    model.eval()
    extractor = feature_extractor_for(files.folder, files.config)
    return Checkpoint(model, extractor, vocabulary.for_head(model.config.vocab_size), files.config)


def open_base(
    files: ModelFiles, vocabulary: Vocabulary, overrides: dict[str, Any], keep_head: bool, attention: str | None = None
) -> Checkpoint:
    """A base to train: with its own head, and rows in it for the labels that the vocabulary has besides, or with a new
    one of the vocabulary's size. What lies in a head before the map to the labels is kept where the base has it.

    `overrides` are config values (dropouts, SpecAugment); `attention` is "eager", "sdpa", …, or None for the
    library's choice. Raises UserError where the checkpoint is unusable.
    """
    values: dict[str, Any] = {
        "pad_token_id": vocabulary.blank,
        "ctc_loss_reduction": "mean",
        "ctc_zero_infinity": True,
        **overrides,
    }
    if not (keep_head and files.config.labels):
        values["vocab_size"] = vocabulary.labels
    row = files.config.architecture
    model, new_weights = _load(files, values, attention if attention in row.attention else None)
    if not keep_head or any(name.startswith(row.head) for name in new_weights):
        # A head that fits by chance was still trained for other labels.
        output: Any = model.get_submodule(row.output_layer)
        torch.nn.init.normal_(output.weight, std=model.config.initializer_range)
        torch.nn.init.zeros_(output.bias)
        # It begins in silence, as every CTC model does after some steps: before training, exactly all words are wrong.
        with torch.no_grad():
            output.bias[vocabulary.blank] = BLANK_BIAS
    elif vocabulary.labels > model.config.vocab_size:
        _add_labels(model, row.output_layer, vocabulary)
    ignore_padding(model)
    if row.layers_apart:
        take_apart(model)
    # Upstream issue 47688: every CTC forward takes **kwargs, so the Trainer believes that the loss is divided by
    # the batch's items already, and gradient accumulation multiplies it.
    setattr(model, "accepts_loss_kwargs", False)  # noqa: B010  # a plain assignment is taken for a submodule
    return Checkpoint(model, feature_extractor_for(files.folder, files.config), vocabulary, files.config)


def _add_labels(model: PreTrainedModel, layer: str, vocabulary: Vocabulary) -> None:
    """Rows for the labels that a head lacks, each the mean of those of all letters: none is heard before it is learnt,
    and none is out of reach."""
    output: Any = model.get_submodule(layer)
    labels, more = model.config.vocab_size, vocabulary.labels - model.config.vocab_size
    letters = [number for number in vocabulary.letters if number < labels]
    for name in ("weight", "bias"):
        rows = getattr(output, name).data
        mean = rows[letters].mean(0, keepdim=True)
        setattr(output, name, torch.nn.Parameter(torch.cat([rows, mean.expand(more, *rows.shape[1:])])))
    size = "out_features" if isinstance(output, torch.nn.Linear) else "out_channels"
    setattr(output, size, vocabulary.labels)
    model.config.vocab_size = vocabulary.labels


def _untaught() -> UserError:
    return UserError("This model was not taught to write letters yet.", "Fine-tune it first, or choose another.")


def _load(
    files: ModelFiles, overrides: dict[str, Any], attention: str | None = None
) -> tuple[PreTrainedModel, set[str]]:
    """As `build.load`; what was downloaded may make way for other models then."""
    try:
        return load(files, overrides, attention)
    finally:
        release(files.folder)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def feature_extractor_for(folder: Path, config: ModelConfig) -> SequenceFeatureExtractor:
    """As the base was trained: what varies between bases of a kind is in the extractor's file beside it.

    Raises UserError for a base that hears in a way that is not known here, or whose files are broken.
    """
    kind, saved = FEATURE_EXTRACTORS[config.architecture.feature_extractor], read_saved(folder)
    check_saved(saved, kind.fixed)
    try:
        extractor = kind.extractor(config.complete, saved)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise UserError("This model's files do not tell how it listens.", "Choose another model.") from error
    extractor.return_attention_mask = config.wants_attention_mask
    return extractor


def save_processor(
    folder: Path, extractor: SequenceFeatureExtractor, vocabulary: Vocabulary, config: ModelConfig
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
        do_lower_case=vocabulary.lowers,
    )
    processor: Any = FEATURE_EXTRACTORS[config.architecture.feature_extractor].processor
    processor(feature_extractor=extractor, tokenizer=tokenizer).save_pretrained(folder)


Values = dict[str, Any]
MS = SAMPLE_RATE // 1000  # samples a millisecond


@dataclass(frozen=True)
class ExtractorKind:
    """`extractor` makes one from config.json's complete values and those saved of an extractor; `fixed` are those of
    the saved values on which `models.frames` counts."""

    extractor: Callable[[Values, Values], SequenceFeatureExtractor]
    processor: type[ProcessorMixin]
    fixed: dict[str, int]


def _samples(config: Values, saved: Values) -> SequenceFeatureExtractor:
    normalises = saved.get("do_normalize", True)  # the default of every published base
    return Wav2Vec2FeatureExtractor(feature_size=1, sampling_rate=SAMPLE_RATE, do_normalize=bool(normalises))


def _mctct(config: Values, saved: Values) -> SequenceFeatureExtractor:
    values: Values = {name: bool(saved.get(name, True)) for name in ("normalize_means", "normalize_vars")}
    for name in ("frame_signal_scale", "preemphasis_coeff", "mel_floor"):
        if _is_number(saved.get(name)):
            values[name] = saved[name]
    if saved.get("win_function") in ("hamming_window", "hann_window"):
        values["win_function"] = saved["win_function"]
    size = config["input_feat_per_channel"] * config["input_channels"]
    return MCTCTFeatureExtractor(feature_size=size, sampling_rate=SAMPLE_RATE, **values)


def _stacked(config: Values, saved: Values) -> SequenceFeatureExtractor:
    bins = config["feature_projection_input_dim"] // 2
    return SeamlessM4TFeatureExtractor(feature_size=bins, num_mel_bins=bins, sampling_rate=SAMPLE_RATE, stride=2)


def _parakeet(config: Values, saved: Values) -> SequenceFeatureExtractor:
    bins = config["encoder_config"]["num_mel_bins"]
    emphasis = saved.get("preemphasis")
    given = {"preemphasis": emphasis} if _is_number(emphasis) else {}
    return ParakeetFeatureExtractor(feature_size=bins, sampling_rate=SAMPLE_RATE, **given)


def _whisper(config: Values, saved: Values) -> SequenceFeatureExtractor:
    return WhisperCTCFeatureExtractor(feature_size=config["num_mel_bins"], sampling_rate=SAMPLE_RATE)


FEATURE_EXTRACTORS = {
    "samples": ExtractorKind(_samples, Wav2Vec2Processor, {}),
    "mctct": ExtractorKind(_mctct, Wav2Vec2Processor, {"hop_length": HOP // MS, "win_length": WINDOW // MS}),
    "stacked": ExtractorKind(_stacked, Wav2Vec2BertProcessor, {"stride": 2}),
    "parakeet": ExtractorKind(_parakeet, ParakeetProcessor, {"hop_length": HOP, "win_length": WINDOW, "n_fft": 512}),
    "whisper": ExtractorKind(_whisper, Wav2Vec2Processor, {"hop_length": HOP, "n_fft": WINDOW}),
}


def read_saved(folder: Path) -> Values:
    """The values of the extractor saved beside a model, as Transformers 4 or 5 saves them; {} where there are none."""
    newer = _read(folder, "processor_config.json").get("feature_extractor")
    return _read(folder, "preprocessor_config.json") | (newer if isinstance(newer, dict) else {})


def _read(folder: Path, name: str) -> Values:
    return read_json(folder, name, CONFIG_BYTES) or {}  # both files are optional


def check_saved(saved: Values, fixed: dict[str, int]) -> None:
    """Raises UserError where a model was trained on sound cut in another way, or at another rate, than is done here."""
    for name, value in {"sampling_rate": SAMPLE_RATE, **fixed}.items():
        if saved.get(name, value) != value:
            raise UserError("This model cuts sound into pieces in a way I do not know.", "Choose another model.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
