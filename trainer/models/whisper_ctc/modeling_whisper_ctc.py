"""Whisper's encoder with a CTC head, for weights in the layout of Transformers' Whisper."""

import math
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel, initialization
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput
from transformers.models.whisper.modeling_whisper import WhisperAttention, WhisperEncoderLayer
from transformers.utils.generic import can_return_tuple
from transformers.utils.output_capturing import capture_outputs

from trainer.models.frames import whisper_convolved
from trainer.models.learning import ctc_loss, feature_spans, time_spans
from trainer.models.whisper_ctc.configuration_whisper_ctc import WhisperCTCConfig

LengthsT = TypeVar("LengthsT", int, torch.Tensor)
LONGEST_WAVE = 10_000  # frames, of the slowest of the sinusoids that tell positions


def sinusoids(positions: int, channels: int) -> torch.Tensor:
    """(positions, channels): the sines of each position at channels / 2 rates, then the cosines."""
    rates = torch.exp(-math.log(LONGEST_WAVE) * torch.arange(channels // 2) / (channels // 2 - 1))
    angles = torch.arange(positions)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def frame_mask(lengths: torch.Tensor, longest: int) -> torch.Tensor:
    """(clips, longest), bool: which frames are the clip's own."""
    return torch.arange(longest, device=lengths.device) < lengths[:, None]


def only_own(hidden: torch.Tensor, own: torch.Tensor | None) -> torch.Tensor:
    """(clips, channels, frames) with silence where `own`, (clips, frames), says padding: as beyond a clip alone."""
    return hidden if own is None else hidden * own[:, None].to(hidden.dtype)


class WhisperPositions(nn.Embedding):
    """What tells each frame where it is. Not trained, and the same sinusoids in every published checkpoint."""

    def __init__(self, config: WhisperCTCConfig) -> None:
        super().__init__(config.max_source_positions, config.d_model)
        self.requires_grad_(False)

    def forward(self, frames: Any) -> torch.Tensor:  # the first argument of Embedding's is another one
        """(frames, channels); zeros for those after the last position."""
        known: torch.Tensor = self.weight[:frames]
        # Not len(), which would be a fixed number in a traced graph.
        return functional.pad(known, (0, 0, 0, frames - known.shape[0]))


class WhisperCTCEncoder(nn.Module):
    """Features to hidden states, in parts that can be had alone."""

    def __init__(self, config: WhisperCTCConfig) -> None:
        super().__init__()
        self.config = config
        self.conv1 = nn.Conv1d(config.num_mel_bins, config.d_model, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(config.d_model, config.d_model, kernel_size=3, stride=2, padding=1)
        self.embed_positions = WhisperPositions(config)
        layer: Any = WhisperEncoderLayer  # typed for WhisperConfig, of which it reads what ours has too
        self.layers = nn.ModuleList(layer(config) for _ in range(config.encoder_layers))
        self.layer_norm = nn.LayerNorm(config.d_model)

    def front_end(self, features: torch.Tensor, own: torch.Tensor | None) -> torch.Tensor:
        """(clips, mel bands, feature frames), own feature frames (clips, feature frames) -> (clips, frames, hidden)."""
        heard = functional.gelu(self.conv1(only_own(features, own)))
        heard = functional.gelu(self.conv2(only_own(heard, own))).transpose(1, 2)
        hidden = heard + self.embed_positions(heard.shape[1])
        return functional.dropout(hidden, self.config.dropout, self.training)

    def through(self, hidden: torch.Tensor, own: torch.Tensor | None, first: int, end: int) -> torch.Tensor:
        """(clips, frames, hidden), own frames (clips, frames) -> the same shape, after layers `first` to `end` - 1."""
        mask = create_bidirectional_mask(self.config, hidden, own)
        for layer in self.layers[first:end]:
            # LayerDrop (Fan et al. 2020, arXiv 1909.11556)
            dropped = self.config.encoder_layerdrop
            if self.training and dropped > 0 and float(torch.rand(())) < dropped:
                continue
            hidden = layer(hidden, mask)
        return hidden


class WhisperCTCHead(nn.Module):
    """Hidden states to the labels' scores: convolutions over time, each added to what it heard, and a linear map."""

    def __init__(self, config: WhisperCTCConfig) -> None:
        super().__init__()
        if config.vocab_size is None:
            raise ValueError("Say vocab_size, the number of labels.")
        inputs, width, around = config.d_model, config.width_of_head, config.head_kernel // 2
        sizes = [inputs, *[width] * config.head_layers]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, width, config.head_kernel, padding=around) for before in sizes[:-1]
        )
        self.dropout = nn.Dropout(config.head_dropout)
        self.output = nn.Linear(sizes[-1], config.vocab_size)

    def forward(self, hidden: torch.Tensor, own: torch.Tensor | None) -> torch.Tensor:
        """(clips, frames, hidden), own frames (clips, frames) -> (clips, frames, labels)."""
        hidden = hidden.transpose(1, 2)
        for convolution in self.convolutions:
            heard = functional.gelu(convolution(only_own(self.dropout(hidden), own)))
            hidden = hidden + heard if heard.shape == hidden.shape else heard
        return self.output(self.dropout(hidden.transpose(1, 2)))


class WhisperCTCPreTrainedModel(PreTrainedModel):
    """What both models below tell Transformers about themselves."""

    config: WhisperCTCConfig
    base_model_prefix = "model"
    main_input_name = "input_features"
    input_modalities = "audio"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["WhisperEncoderLayer"]  # noqa: RUF012  # as the base class has it
    _can_record_outputs = {"hidden_states": WhisperEncoderLayer, "attentions": WhisperAttention}  # noqa: RUF012

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, WhisperPositions):
            initialization.copy_(module.weight, sinusoids(*module.weight.shape))
            module.weight.requires_grad_(False)  # a weight that no file held was made anew

    def _get_feat_extract_output_lengths(self, input_lengths: LengthsT) -> LengthsT:
        """Output frames for feature frames; Transformers' name for it."""
        return whisper_convolved(input_lengths)


class WhisperCTCModel(WhisperCTCPreTrainedModel):
    """The encoder without a head. A clip of more frames than there are positions is heard, but the order of those
    beyond is not known."""

    def __init__(self, config: WhisperCTCConfig) -> None:
        super().__init__(config)
        self.encoder = WhisperCTCEncoder(config)
        self.post_init()

    @capture_outputs(tie_last_hidden_states=False)
    def forward(
        self,
        input_features: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        hidden_states: torch.Tensor | None = None,
        first_layer: int = 0,
        **kwargs: Any,
    ) -> BaseModelOutput:
        """`input_features` (clips, mel bands, feature frames), `attention_mask` (clips, feature frames), 1 where a clip
        is -> `last_hidden_state` (clips, frames, hidden).

        With `hidden_states` (clips, frames, hidden) it begins at layer `first_layer` with them, and `attention_mask` is
        (clips, frames). Raises ValueError without either, or with both.
        """
        if (input_features is None) == (hidden_states is None):
            raise ValueError("Give input_features or hidden_states: one of them.")
        own = None if attention_mask is None else attention_mask.bool()
        if input_features is not None:
            if self.training and self.config.mask_feature_prob > 0:
                clips, bands, _ = input_features.shape
                hidden_bands = feature_spans(self.config, clips, bands, input_features.device)
                input_features = input_features.masked_fill(hidden_bands[:, :, None], 0.0)
            hidden_states, own = self._heard(input_features, own)
            first_layer = 0
        assert hidden_states is not None  # one of them was given
        if self.training and self.config.mask_time_prob > 0:
            hidden_states = self._masked(hidden_states, own)
        last = self.encoder.through(hidden_states, own, first_layer, self.config.encoder_layers)
        return BaseModelOutput(last_hidden_state=self.encoder.layer_norm(last))

    def lower_states(
        self, input_features: torch.Tensor, attention_mask: torch.Tensor | None, layers: int
    ) -> torch.Tensor:
        """(clips, frames, hidden): what the lowest `layers` layers make of features. With none of them the front end's,
        with all what the last layer norm takes. Unlike `forward` it masks nothing."""
        hidden, own = self._heard(input_features, None if attention_mask is None else attention_mask.bool())
        return self.encoder.through(hidden, own, 0, layers)

    def _heard(self, features: torch.Tensor, own: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The front end's frames, and which of them are the clip's own."""
        hidden = self.encoder.front_end(features, own)
        return hidden, None if own is None else frame_mask(whisper_convolved(own.sum(-1)), hidden.shape[1])

    def _masked(self, hidden: torch.Tensor, own: torch.Tensor | None) -> torch.Tensor:
        """SpecAugment over time where learning begins, so that layers below may be computed once."""
        clips, longest, _ = hidden.shape
        lengths = torch.full((clips,), longest, device=hidden.device) if own is None else own.sum(-1)
        return hidden.masked_fill(time_spans(self.config, lengths, longest)[:, :, None], 0.0)


class WhisperForCTC(WhisperCTCPreTrainedModel):
    """The encoder and a map to the labels' scores."""

    # Every forward with **kwargs is taken to divide its loss by the batch's items itself, and gradient accumulation
    # would multiply it (upstream issue 47688).
    accepts_loss_kwargs = False

    def __init__(self, config: WhisperCTCConfig) -> None:
        super().__init__(config)
        self.model = WhisperCTCModel(config)
        self.ctc_head = WhisperCTCHead(config)
        self.post_init()

    def freeze_feature_encoder(self) -> None:
        """Let training leave the convolutions before the layers, and the positions, as they are."""
        encoder = self.model.encoder  # loading weights lets positions learn again
        for part in (encoder.conv1, encoder.conv2, encoder.embed_positions):
            part.requires_grad_(False)

    def freeze_layers(self, count: int) -> None:
        """The same, and the lowest `count` layers: all that `lower_states` computes."""
        self.freeze_feature_encoder()
        for layer in self.model.encoder.layers[:count]:
            layer.requires_grad_(False)

    def lower_states(
        self, input_features: torch.Tensor, attention_mask: torch.Tensor | None, layers: int
    ) -> torch.Tensor:
        """As `WhisperCTCModel.lower_states`."""
        return self.model.lower_states(input_features, attention_mask, layers)

    @can_return_tuple
    def forward(
        self,
        input_features: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        hidden_states: torch.Tensor | None = None,
        first_layer: int = 0,
        **kwargs: Any,
    ) -> CausalLMOutput:
        """Inputs as for WhisperCTCModel; `labels` (clips, longest), negative where there is none -> `logits` (clips,
        frames, vocabulary) and, given labels, the `loss` of `learning.ctc_loss`."""
        outputs = self.model(
            input_features, attention_mask, hidden_states=hidden_states, first_layer=first_layer, **kwargs
        )
        last = outputs.last_hidden_state
        if attention_mask is None:
            lengths = torch.full(last.shape[:1], last.shape[1], device=last.device)
        else:
            lengths = attention_mask.sum(-1)
            lengths = whisper_convolved(lengths) if hidden_states is None else lengths
        logits = self.ctc_head(last, None if attention_mask is None else frame_mask(lengths, last.shape[1]))
        loss = None if labels is None else ctc_loss(self.config, logits, lengths, labels)
        return CausalLMOutput(
            loss=loss, logits=logits, hidden_states=outputs.hidden_states, attentions=outputs.attentions
        )
