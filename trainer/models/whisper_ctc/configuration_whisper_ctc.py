"""What a Whisper encoder with a CTC head is made of."""

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

from trainer.models.frames import HOP, WHISPER_STRIDE


@strict
class WhisperCTCConfig(PreTrainedConfig):
    """The encoder's fields have the names and defaults of Transformers' WhisperConfig.

    `max_source_positions` counts frames of 20 ms. The head has `head_layers` convolutions over `head_kernel` frames,
    `head_size` wide (None: as wide as the encoder), and then a linear map to `vocab_size` labels.

    SpecAugment (Park et al. 2019, arXiv 1904.08779) is off by default: `mask_time_*` counts frames of 20 ms,
    `mask_feature_*` mel bands.

    Raises ValueError where the numbers do not fit together.
    """

    model_type = "whisper_ctc"
    # The names by which other models' sizes are asked for.
    attribute_map = {  # noqa: RUF012  # PreTrainedConfig has it as a ClassVar
        "hidden_size": "d_model",
        "num_hidden_layers": "encoder_layers",
        "num_attention_heads": "encoder_attention_heads",
        "num_key_value_heads": "encoder_attention_heads",
        "intermediate_size": "encoder_ffn_dim",
    }

    vocab_size: int | None = None
    num_mel_bins: int = 80
    d_model: int = 384
    encoder_layers: int = 4
    encoder_attention_heads: int = 6
    encoder_ffn_dim: int = 1536
    encoder_layerdrop: float | int = 0.0
    activation_function: str = "gelu"
    dropout: float | int = 0.0
    attention_dropout: float | int = 0.0
    activation_dropout: float | int = 0.0
    scale_embedding: bool = False  # of the decoder's; the encoder has nothing to scale
    max_source_positions: int = 1500
    initializer_range: float = 0.02
    head_layers: int = 0
    head_kernel: int = 5
    head_size: int | None = None
    head_dropout: float | int = 0.0
    pad_token_id: int = 0  # the blank
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
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
        sizes = (self.num_mel_bins, self.encoder_attention_heads, self.encoder_ffn_dim, self.max_source_positions)
        if min(*sizes, self.width_of_head) < 1 or min(self.encoder_layers, self.head_layers) < 0:
            raise ValueError("Sizes must be 1 at least.")
        if self.d_model < 4 or self.d_model % 2:
            raise ValueError(f"Sinusoidal positions need an even d_model of 4 at least, not {self.d_model}.")
        if self.d_model % self.encoder_attention_heads:
            raise ValueError(f"{self.encoder_attention_heads} heads do not divide {self.d_model}.")
        if self.head_kernel < 1 or self.head_kernel % 2 == 0:
            raise ValueError(
                f"head_kernel must be odd, that a frame has as much on either side, not {self.head_kernel}."
            )

    @property
    def width_of_head(self) -> int:
        """Channels of the head's convolutions."""
        return self.d_model if self.head_size is None else self.head_size

    @property
    def inputs_to_logits_ratio(self) -> int:
        """Samples to a frame of logits, as the stock pipeline asks for it."""
        return HOP * WHISPER_STRIDE
