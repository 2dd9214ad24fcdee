"""M-CTC-T with its CTC head, for weights in the layout of speechbrain/m-ctc-t-large."""

from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel, initialization
from transformers.activations import ACT2FN
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput
from transformers.utils.generic import can_return_tuple
from transformers.utils.output_capturing import capture_outputs

from trainer.models.frames import mctct_convolved, mctct_padding
from trainer.models.learning import ctc_loss, feature_spans, time_spans
from trainer.models.mctct.configuration_mctct import MCTCTConfig


class MCTCTSelfAttention(nn.Module):
    """Multi-head attention whose scores have a part for the distance between frames (Shaw et al. 2018, 1803.02155).

    A head scores a key by query · (key + embedding of the distance) / sqrt(size). Row `d + positions - 1` of the
    embeddings belongs to a key `d` frames after its query. Pairs `positions` frames apart or more have no row and
    score by content alone: a clip over the limit is heard, but its far ends do not know their order.
    """

    def __init__(self, config: MCTCTConfig) -> None:
        super().__init__()
        self.heads, self.size = config.num_attention_heads, config.attention_head_dim
        self.positions = config.max_position_embeddings
        width = self.heads * self.size
        self.query = nn.Linear(config.hidden_size, width, bias=False)
        self.key = nn.Linear(config.hidden_size, width, bias=False)
        self.value = nn.Linear(config.hidden_size, width, bias=False)
        self.distance_embedding = nn.Embedding(2 * self.positions - 1, self.size)
        self.dropout = nn.Dropout(config.attention_probs_dropout_prob)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """(clips, frames, hidden) -> the same shape, and the weights (clips, heads, frames, frames).

        `mask` is added to the scores: (clips, 1, 1 or frames, frames).
        """
        query = self._by_head(self.query(hidden)) * self.size**-0.5
        scores = query @ self._by_head(self.key(hidden)).transpose(-1, -2) + self._distance_scores(query)
        if mask is not None:
            scores = scores + mask
        weights = self.dropout(scores.softmax(-1))
        heard = weights @ self._by_head(self.value(hidden))
        return heard.transpose(1, 2).flatten(-2), weights

    def _by_head(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden.unflatten(-1, (self.heads, self.size)).transpose(1, 2)

    def _distance_scores(self, query: torch.Tensor) -> torch.Tensor:
        """(clips, heads, frames, size) -> (clips, heads, frames, frames): query q with the embedding of k - q."""
        frames = query.shape[-2]
        by_distance = query @ self._embeddings(frames).T  # column j is distance j - (frames - 1)
        # Row q wants columns frames-1-q and on. Read as one long row, those begin 2 frames - 1 after those of q - 1,
        # so a view with rows that long has them one below the other.
        long_row = by_distance.flatten(-2)[..., frames - 1 : -1]
        return long_row.unflatten(-1, (frames, 2 * frames - 1))[..., :frames]

    def _embeddings(self, frames: int) -> torch.Tensor:
        """The rows for distances -(frames - 1) to frames, (2 frames, size); zero where there are none.

        Distance `frames` is never read: its row makes the long row of `_distance_scores` come out even.
        """
        first = max(self.positions - frames, 0)
        missing = max(frames - self.positions, 0)
        rows = self.distance_embedding.weight[first : self.positions + frames - 1]
        return functional.pad(rows, (0, 0, missing, missing + 1))


LengthsT = TypeVar("LengthsT", int, torch.Tensor)


def frames_after_convolutions(config: MCTCTConfig, features: LengthsT) -> LengthsT:
    """Output frames for so many feature frames: a number, or a tensor of them.

    For one convolution, which every published model has, this is what Transformers 4 told. For several, its figure
    was not what its convolutions gave unless all but the last had stride 1; this is.
    """
    length: LengthsT = mctct_convolved(features, config.conv_kernel, config.conv_stride)
    return max(length, 0) if isinstance(length, int) else length.clamp(min=0)


def frame_mask(config: MCTCTConfig, attention_mask: torch.Tensor, frames: int) -> torch.Tensor:
    """The mask of feature frames, (clips, features), as one of output frames: (clips, frames), bool."""
    lengths = frames_after_convolutions(config, attention_mask.sum(-1))
    return torch.arange(frames, device=lengths.device) < lengths[:, None]


class MCTCTScale(nn.Module):
    """One factor and one offset for every feature: what is left of Flashlight's layer norm over a whole clip."""

    def __init__(self) -> None:
        super().__init__()
        self.singleton_weight = nn.Parameter(torch.ones(1))
        self.singleton_bias = nn.Parameter(torch.zeros(1))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Any shape, which stays."""
        return features * self.singleton_weight + self.singleton_bias


class MCTCTConvolutions(nn.Module):
    """1-D convolutions over time, each with a gated linear unit (Dauphin et al. 2017, arXiv 1612.08083)."""

    def __init__(self, config: MCTCTConfig) -> None:
        super().__init__()
        self.padding = mctct_padding(config.conv_kernel)
        self.conv_layers = nn.ModuleList(
            nn.Conv1d(inputs, outputs, kernel, stride)
            for inputs, outputs, kernel, stride in zip(
                config.conv_inputs, config.conv_outputs, config.conv_kernel, config.conv_stride, strict=True
            )
        )
        self.dropout = nn.Dropout(config.conv_dropout)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(clips, features frames, features) -> (clips, frames, hidden)."""
        hidden = functional.pad(features.transpose(1, 2), (self.padding, self.padding))
        for convolution in self.conv_layers:
            hidden = self.dropout(functional.glu(convolution(hidden), dim=1))
        return hidden.transpose(1, 2)


class MCTCTResidual(nn.Module):
    """A linear map back to the hidden size, added to what was there before, and normalised."""

    def __init__(self, config: MCTCTConfig, inputs: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, config.hidden_size, bias=False)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, change: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        """`change` (..., inputs) and `before` (..., hidden) -> (..., hidden)."""
        return self.LayerNorm(before + self.dropout(self.dense(change)))


class MCTCTAttention(nn.Module):
    """Self-attention with its residual."""

    def __init__(self, config: MCTCTConfig) -> None:
        super().__init__()
        self.self = MCTCTSelfAttention(config)
        self.output = MCTCTResidual(config, config.hidden_size)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """(clips, frames, hidden) -> the same shape."""
        heard, _ = self.self(hidden, mask)
        return self.output(heard, hidden)


class MCTCTIntermediate(nn.Module):
    """The widening linear map and its activation."""

    def __init__(self, config: MCTCTConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.activation = ACT2FN[config.hidden_act]

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(..., hidden) -> (..., intermediate)."""
        return self.activation(self.dense(hidden))


class MCTCTLayer(GradientCheckpointingLayer):
    """Attention and feed-forward."""

    def __init__(self, config: MCTCTConfig) -> None:
        super().__init__()
        self.attention = MCTCTAttention(config)
        self.intermediate = MCTCTIntermediate(config)
        self.output = MCTCTResidual(config, config.intermediate_size)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """(clips, frames, hidden) -> the same shape. `mask` as in MCTCTSelfAttention."""
        hidden = self.attention(hidden, mask)
        return self.output(self.intermediate(hidden), hidden)


def spec_augment(config: MCTCTConfig, features: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
    """A copy of (clips, frames, features) with spans set to 0, which is each feature's mean."""
    clips, longest, channels = features.shape
    lengths = (
        torch.full((clips,), longest, device=features.device) if attention_mask is None else attention_mask.sum(-1)
    )
    # Time is drawn in output frames, each of which stands for so many feature frames.
    frames = frames_after_convolutions(config, lengths)
    in_time = time_spans(config, frames, longest).repeat_interleave(config.features_per_frame, dim=1)[:, :longest]
    in_frequency = feature_spans(config, clips, channels, features.device)
    return features.masked_fill(in_time[:, :, None] | in_frequency[:, None, :], 0.0)


class MCTCTPreTrainedModel(PreTrainedModel):
    """What both models below tell Transformers about themselves. Attention is eager: its scores have a part of
    their own, and the weights are returned."""

    config: MCTCTConfig
    base_model_prefix = "mctct"
    main_input_name = "input_features"
    input_modalities = "audio"
    supports_gradient_checkpointing = True
    _no_split_modules = ["MCTCTLayer"]  # noqa: RUF012  # as the base class has it
    _can_record_outputs = {"hidden_states": MCTCTLayer, "attentions": MCTCTSelfAttention}  # noqa: RUF012

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, MCTCTScale):
            initialization.ones_(module.singleton_weight)
            initialization.zeros_(module.singleton_bias)

    def _get_feat_extract_output_lengths(self, input_lengths: torch.Tensor) -> torch.Tensor:
        """Output frames for feature frames; Transformers' name for it."""
        return frames_after_convolutions(self.config, input_lengths)


class MCTCTEncoder(nn.Module):
    """Features to hidden states."""

    def __init__(self, config: MCTCTConfig) -> None:
        super().__init__()
        self.config = config
        self.layer_norm = MCTCTScale()
        self.conv = MCTCTConvolutions(config)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.layers = nn.ModuleList(MCTCTLayer(config) for _ in range(config.num_hidden_layers))

    def forward(self, features: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
        """(clips, feature frames, features) -> (clips, frames, hidden)."""
        hidden = self.dropout(self.conv(self.layer_norm(features)))
        if attention_mask is not None:
            attention_mask = frame_mask(self.config, attention_mask, hidden.shape[1])
        mask = create_bidirectional_mask(self.config, hidden, attention_mask)
        for layer in self.layers:
            # LayerDrop (Fan et al. 2020, arXiv 1909.11556)
            if self.training and self.config.layerdrop > 0 and float(torch.rand(())) < self.config.layerdrop:
                continue
            hidden = layer(hidden, mask)
        return hidden


class MCTCTModel(MCTCTPreTrainedModel):
    """The transformer without a head."""

    def __init__(self, config: MCTCTConfig) -> None:
        super().__init__(config)
        self.encoder = MCTCTEncoder(config)
        self.post_init()

    @capture_outputs(tie_last_hidden_states=False)
    def forward(
        self, input_features: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutput:
        """`input_features` (clips, feature frames, features), `attention_mask` (clips, feature frames), 1 where a
        clip is -> `last_hidden_state` (clips, frames, hidden)."""
        if self.training and (self.config.mask_time_prob > 0 or self.config.mask_feature_prob > 0):
            input_features = spec_augment(self.config, input_features, attention_mask)
        return BaseModelOutput(last_hidden_state=self.encoder(input_features, attention_mask))


class MCTCTForCTC(MCTCTPreTrainedModel):
    """The transformer and a linear map to the labels' scores."""

    # Every forward with **kwargs is taken to divide its loss by the batch's items itself, and gradient accumulation
    # would multiply it (upstream issue 47688).
    accepts_loss_kwargs = False

    def __init__(self, config: MCTCTConfig) -> None:
        super().__init__(config)
        self.mctct = MCTCTModel(config)
        self.ctc_head = nn.Linear(config.hidden_size, config.vocab_size)
        self.post_init()

    def freeze_feature_encoder(self) -> None:
        """Let training leave the scale and the convolutions as they are."""
        for part in (self.mctct.encoder.layer_norm, self.mctct.encoder.conv):
            part.requires_grad_(False)

    @can_return_tuple
    def forward(
        self,
        input_features: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> CausalLMOutput:
        """Inputs as for MCTCTModel; `labels` (clips, longest), negative where there is none -> `logits` (clips,
        frames, vocabulary) and, given labels, the CTC `loss` in nats over each clip's own frames, reduced as the
        config says. The blank is `config.pad_token_id`. Raises ValueError for a label outside the vocabulary."""
        outputs = self.mctct(input_features, attention_mask, **kwargs)
        logits = self.ctc_head(outputs.last_hidden_state)
        loss = None if labels is None else self._loss(logits, attention_mask, labels)
        return CausalLMOutput(
            loss=loss, logits=logits, hidden_states=outputs.hidden_states, attentions=outputs.attentions
        )

    def _loss(self, logits: torch.Tensor, attention_mask: torch.Tensor | None, labels: torch.Tensor) -> torch.Tensor:
        clips, frames, _ = logits.shape
        own_frames = (
            torch.full((clips,), frames, device=logits.device)
            if attention_mask is None
            else frames_after_convolutions(self.config, attention_mask.sum(-1))
        )
        return ctc_loss(self.config, logits, own_frames, labels)
