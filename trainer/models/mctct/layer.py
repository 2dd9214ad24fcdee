"""One layer of the transformer: attention, then two linear maps, each with a residual and a norm after it."""

import torch
from torch import nn
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer

from trainer.models.mctct.attention import MCTCTSelfAttention
from trainer.models.mctct.config import MCTCTConfig


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
