"""The model types that fine-tune here, one row each. Nothing else asks which architecture a checkpoint is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from trainer.models.frames import (
    HOP,
    from_mctct_features,
    from_pooled_samples,
    from_samples,
    from_stacked_features,
    from_subsampled_features,
    from_whisper_features,
    kept_to_pool,
)

_EVERYWHERE = ("eager", "sdpa")
# What transformers' config class of a kind takes where config.json says nothing. The page, which cannot wait for
# transformers, counts on them too; tests/unit/test_model_config.py compares them with the installed classes.
_BODY: dict[str, Any] = {
    "vocab_size": 32,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "mask_time_length": 10,
}
_FRONT: dict[str, Any] = {
    **_BODY,
    "feat_extract_norm": "group",
    "conv_dim": [512] * 7,
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
}
_WITHOUT_NORM = {name: value for name, value in _FRONT.items() if name != "feat_extract_norm"}
_ADAPTER: dict[str, Any] = {
    "add_adapter": False,
    "num_adapter_layers": 3,
    "adapter_kernel_size": 3,
    "adapter_stride": 2,
}
_SEW: dict[str, Any] = {
    **_FRONT,
    "conv_dim": [64, *[128] * 4, *[256] * 4, *[512] * 4],
    "conv_kernel": [10, *[3, 1] * 4, *[2, 1] * 2],
    "conv_stride": [5, *[2, 1] * 6],
    "squeeze_factor": 2,
}
_LARGE: dict[str, Any] = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}
_DROPOUTS = ("attention_dropout", "hidden_dropout", "activation_dropout")
# layerdrop's random skips help only in long trainings of large models, and cost reproducibility
_ZEROED = ("feat_proj_dropout", "final_dropout", "layerdrop")


@dataclass(frozen=True)
class Architecture:
    """A CTC model on audio at 16 kHz.

    `frames`: CTC frames by (config, samples). `kept`: of so many samples those that it can use, likewise.
    `feature_extractor`: a key of `ctc_model.FEATURE_EXTRACTORS`. `input_name`: what the model's forward calls its
    sound; `hop`: samples from one of its inputs to the next; `time_axis`: along which one clip's inputs follow each
    other. `positions`: the config key of the most frames that it can tell the order of, where there is a most.
    `attention`: the implementations that it has. `attention_mask`: whether a padded batch needs one; None: the config's
    `feat_extract_norm` decides, since a model with "group" norm was trained without and gets worse with one.
    `head`: the attribute of its CTC head; `output`: in it the linear map to the labels, where it is not all of it.
    `freezes`: whether it has `freeze_feature_encoder()`; `layers_apart`: whether its lowest layers can be computed
    alone (`freeze_layers`, `lower_states`, and a forward that begins above them); `front_apart`: whether that pays for
    the front end alone, which costs next to nothing where it hears mel features.
    `dropouts` are config keys set to a recipe's dropout, `zeroed` those that are 0 whenever it chooses one; they lie in
    the config's part `part`, if there is one.
    `masks_time`: whether it knows SpecAugment's `mask_time_*`; `masks_features` likewise.
    `onnx`: whether the way from sound to its labels can be written as an ONNX graph.
    `package`: that of `trainer.models` whose `register()` tells transformers the classes, where it has none of its own.
    `defaults`: the values of config.json that are read here, each with what it is where the file does not say.
    """

    model_type: str
    title: str
    defaults: Mapping[str, Any]
    frames: Callable[[dict[str, Any], int], int] = from_samples
    kept: Callable[[dict[str, Any], int], int] = lambda config, samples: samples
    feature_extractor: str = "samples"
    input_name: str = "input_values"
    hop: int = 1
    time_axis: int = 0
    positions: str | None = None
    attention: tuple[str, ...] = _EVERYWHERE
    attention_mask: bool | None = None
    head: str = "lm_head"
    output: str = ""
    freezes: bool = True
    layers_apart: bool = False
    front_apart: bool = False
    part: str | None = None
    dropouts: tuple[str, ...] = _DROPOUTS
    zeroed: tuple[str, ...] = _ZEROED
    masks_time: bool = True
    masks_features: bool = True
    onnx: bool = True
    package: str = ""

    @property
    def output_layer(self) -> str:
        """The linear map to the labels, by its name in the model."""
        return f"{self.head}.{self.output}" if self.output else self.head

    def with_dropout(self, share: float) -> dict[str, Any]:
        """Config values for training with this dropout, a share from 0 to 1."""
        values = dict.fromkeys(self.dropouts, share) | dict.fromkeys(self.zeroed, 0.0)
        return {self.part: values} if self.part else values

    def complete(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """`defaults` with what a config.json says instead, as transformers reads it.

        Names that its kind does not know are left out: a HuBERT has no adapter, whatever its file says.
        """
        return _over(self.defaults, values)


def _over(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Of a part in it too. A value of null says nothing, as if it were not there."""
    given = {name: values.get(name) for name in defaults}
    return {
        name: _over(default, given[name] or {})
        if isinstance(default, Mapping)
        else (default if given[name] is None else given[name])
        for name, default in defaults.items()
    }


_ROWS = (
    Architecture("wav2vec2", "Wav2Vec2", _FRONT | _ADAPTER, layers_apart=True, front_apart=True),
    Architecture(
        "wav2vec2-conformer",
        "Wav2Vec2-Conformer",
        _FRONT | _ADAPTER | {"vocab_size": None},
        zeroed=(*_ZEROED, "conformer_conv_dropout"),
    ),
    Architecture("hubert", "HuBERT", _FRONT, layers_apart=True, front_apart=True),
    Architecture(
        "wavlm",
        "WavLM",
        _FRONT | _ADAPTER,
        attention=("eager",),
        masks_features=False,  # it crashes
    ),
    Architecture("unispeech", "UniSpeech", _FRONT, layers_apart=True, front_apart=True),
    Architecture("unispeech-sat", "UniSpeechSat", _FRONT, layers_apart=True, front_apart=True),
    Architecture("sew", "SEW", _SEW, from_pooled_samples, kept=kept_to_pool),
    Architecture(
        "sew-d",
        "SEW-D",
        _SEW,
        from_pooled_samples,
        kept=kept_to_pool,
        attention=("eager",),
        zeroed=("feat_proj_dropout", "final_dropout"),
    ),
    Architecture("data2vec-audio", "Data2VecAudio", _WITHOUT_NORM | _ADAPTER, attention_mask=True),
    Architecture(
        "mctct",
        "M-CTC-T",
        {
            "vocab_size": 8065,
            "hidden_size": 1536,
            "num_hidden_layers": 36,
            "num_attention_heads": 4,
            "intermediate_size": 6144,
            "mask_time_length": 10,
            "conv_kernel": [7],
            "conv_stride": [3],
            "max_position_embeddings": 920,
            "input_feat_per_channel": 80,
            "input_channels": 1,
        },
        from_mctct_features,
        feature_extractor="mctct",
        input_name="input_features",
        hop=HOP,
        positions="max_position_embeddings",
        attention=("eager",),
        attention_mask=True,
        head="ctc_head",
        dropouts=("attention_dropout", "hidden_dropout"),
        zeroed=("feat_proj_dropout", "layerdrop"),
        onnx=False,
        package="mctct",
    ),
    Architecture(
        "wav2vec2-bert",
        "Wav2Vec2-BERT",
        _BODY | _LARGE | _ADAPTER | {"vocab_size": None, "num_adapter_layers": 1, "feature_projection_input_dim": 160},
        from_stacked_features,
        feature_extractor="stacked",
        input_name="input_features",
        hop=2 * HOP,
        attention_mask=True,
        freezes=False,
        zeroed=(*_ZEROED, "conformer_conv_dropout"),
        onnx=False,
    ),
    Architecture(
        "parakeet_ctc",
        "Parakeet-CTC",
        {
            "vocab_size": 1025,
            "encoder_config": {
                **_LARGE,
                "num_attention_heads": 8,
                "num_mel_bins": 80,
                "subsampling_factor": 8,
                "subsampling_conv_kernel_size": 3,
                "subsampling_conv_stride": 2,
            },
        },
        from_subsampled_features,
        feature_extractor="parakeet",
        input_name="input_features",
        hop=HOP,
        attention_mask=True,
        head="ctc_head",
        freezes=False,
        part="encoder_config",
        dropouts=("attention_dropout", "dropout", "activation_dropout"),
        zeroed=("dropout_positions", "layerdrop"),
        masks_time=False,
        masks_features=False,
        onnx=False,
    ),
    Architecture(
        "whisper_ctc",
        "Whisper encoder with a CTC head",
        {
            "vocab_size": None,
            "d_model": 384,
            "encoder_layers": 4,
            "encoder_attention_heads": 6,
            "encoder_ffn_dim": 1536,
            "num_mel_bins": 80,
            "max_source_positions": 1500,
            "head_layers": 0,
            "head_kernel": 5,
            "head_size": None,
            "mask_time_length": 10,
        },
        from_whisper_features,
        feature_extractor="whisper",
        input_name="input_features",
        hop=HOP,
        time_axis=1,
        positions="max_source_positions",
        attention_mask=True,
        head="ctc_head",
        output="output",
        layers_apart=True,
        dropouts=("attention_dropout", "dropout", "activation_dropout", "head_dropout"),
        zeroed=("encoder_layerdrop",),
        package="whisper_ctc",
    ),
)
ARCHITECTURES: dict[str, Architecture] = {row.model_type: row for row in _ROWS}
