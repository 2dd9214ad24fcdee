"""Attention that knows how far apart two frames are."""

import torch
from torch import nn
from torch.nn import functional

from trainer.models.mctct.config import MCTCTConfig


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
