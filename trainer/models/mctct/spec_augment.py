"""SpecAugment on mel features: spans of time and bands of frequency are silenced while training."""

import torch

from trainer.models.mctct.config import MCTCTConfig
from trainer.models.mctct.front_end import frames_after_convolutions


def spec_augment(config: MCTCTConfig, features: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
    """A copy of (clips, frames, features) with spans set to 0, which is each feature's mean (Park et al. 2019).

    Spans are drawn with torch's generator for each clip, inside its own frames. Unlike Wav2Vec2's, a span that does
    not fit a short clip is cut, not an error.
    """
    clips, longest, channels = features.shape
    lengths = (
        torch.full((clips,), longest, device=features.device) if attention_mask is None else attention_mask.sum(-1)
    )
    # Time is drawn in output frames, each of which stands for so many feature frames.
    frames = frames_after_convolutions(config, lengths)
    in_time = _spans(
        frames, longest, config.mask_time_prob, config.mask_time_length, config.mask_time_min_masks
    ).repeat_interleave(config.features_per_frame, dim=1)[:, :longest]
    in_frequency = _spans(
        torch.full_like(frames, channels),
        channels,
        config.mask_feature_prob,
        config.mask_feature_length,
        config.mask_feature_min_masks,
    )
    return features.masked_fill(in_time[:, :, None] | in_frequency[:, None, :], 0.0)


def _spans(lengths: torch.Tensor, longest: int, share: float, span: int, fewest: int) -> torch.Tensor:
    """True inside drawn spans, (clips, longest). They cover at most `share` of each length on average."""
    clips, device = len(lengths), lengths.device
    wanted = share * lengths / span
    # Rounded up or down by chance, so that the mean is as wanted.
    counts = (wanted + torch.rand(clips, device=device)).long().clamp(min=fewest)
    most = int(counts.max())
    room = (lengths - span + 1).clamp(min=1)
    starts = (torch.rand(clips, most, device=device) * room[:, None]).long()
    starts = starts.masked_fill(torch.arange(most, device=device) >= counts[:, None], longest)
    offsets = torch.arange(longest, device=device) - starts[:, :, None]
    return ((offsets >= 0) & (offsets < span)).any(dim=1)
