"""What an M-CTC-T is made of."""

import math

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

from trainer.models.frames import HOP


@strict
class MCTCTConfig(PreTrainedConfig):
    """M-CTC-T (Lugosch et al. 2021, arXiv 2111.00161); the defaults are speechbrain/m-ctc-t-large.

    `input_feat_per_channel` times `input_channels` mel features a frame of 10 ms go through `num_conv_layers`
    convolutions with gated linear units, which leave a frame each 10 ms x the product of `conv_stride`.
    `conv_channels` counts each inner convolution's outputs before its gate halves them, and the next one's inputs:
    for two layers [2 c, c]. `max_position_embeddings` (frames) is one more than the greatest distance between two
    frames that has a score of its own; frames further apart attend by content alone.

    SpecAugment (Park et al. 2019, arXiv 1904.08779) is not part of the published model, hence off by default:
    `mask_time_*` counts frames after the convolutions, as Wav2Vec2 does, `mask_feature_*` mel features.

    Raises ValueError where the numbers do not fit together.
    """

    model_type = "mctct"
    # The names by which the other CTC models' dropouts are set.
    attribute_map = {  # noqa: RUF012  # PreTrainedConfig has it as a ClassVar
        "attention_dropout": "attention_probs_dropout_prob",
        "hidden_dropout": "hidden_dropout_prob",
        "feat_proj_dropout": "conv_dropout",
    }

    vocab_size: int = 8065
    hidden_size: int = 1536
    num_hidden_layers: int = 36
    intermediate_size: int = 6144
    num_attention_heads: int = 4
    attention_head_dim: int = 384
    max_position_embeddings: int = 920
    layer_norm_eps: float = 1e-5
    layerdrop: float | int = 0.3
    hidden_act: str = "relu"
    initializer_range: float = 0.02
    hidden_dropout_prob: float | int = 0.3
    attention_probs_dropout_prob: float | int = 0.3
    pad_token_id: int = 1  # the blank
    bos_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 2
    conv_glu_dim: int = 1
    conv_dropout: float | int = 0.3
    num_conv_layers: int = 1
    conv_kernel: list[int] | tuple[int, ...] = (7,)
    conv_stride: list[int] | tuple[int, ...] = (3,)
    input_feat_per_channel: int = 80
    input_channels: int = 1
    conv_channels: list[int] | tuple[int, ...] | None = None
    ctc_loss_reduction: str = "sum"
    ctc_zero_infinity: bool = False
    mask_time_prob: float | int = 0.0
    mask_time_length: int = 10
    mask_time_min_masks: int = 0
    mask_feature_prob: float | int = 0.0
    mask_feature_length: int = 10
    mask_feature_min_masks: int = 0

    def validate_architecture(self) -> None:
        """Called by `strict` once all fields are set."""
        if not self.num_conv_layers == len(self.conv_kernel) == len(self.conv_stride):
            raise ValueError(
                f"num_conv_layers is {self.num_conv_layers}, but there are {len(self.conv_kernel)} kernels and "
                f"{len(self.conv_stride)} strides."
            )
        if self.num_attention_heads * self.attention_head_dim != self.hidden_size:
            raise ValueError(
                f"{self.num_attention_heads} heads of {self.attention_head_dim} do not make {self.hidden_size}."
            )
        if self.conv_glu_dim not in (1, -2):
            # Another axis would gate time or clips and leave channels that no layer takes.
            raise ValueError(f"conv_glu_dim must be the axis of the channels, 1, not {self.conv_glu_dim}.")
        inner = list(self.conv_channels or ())
        if self.num_conv_layers > 1 and (
            len(inner) < self.num_conv_layers
            or any(outer != 2 * gated for outer, gated in zip(inner, self.conv_inputs[1:], strict=False))
        ):
            raise ValueError(
                f"{self.num_conv_layers} convolutions need conv_channels that halve from layer to layer, "
                f"not {self.conv_channels}."
            )

    @property
    def conv_inputs(self) -> list[int]:
        """Channels that each convolution takes."""
        inner = list(self.conv_channels or ())[1 : self.num_conv_layers]
        return [self.input_feat_per_channel * self.input_channels, *inner]

    @property
    def conv_outputs(self) -> list[int]:
        """Channels that each convolution makes, before its gate halves them."""
        inner = list(self.conv_channels or ())[: self.num_conv_layers - 1]
        return [*inner, 2 * self.hidden_size]

    @property
    def features_per_frame(self) -> int:
        """Frames of features to one frame of logits."""
        return math.prod(self.conv_stride)

    @property
    def inputs_to_logits_ratio(self) -> int:
        """Samples to a frame of logits, as the stock pipeline asks for it."""
        return HOP * self.features_per_frame
