"""What the CTC models that are written here share while they learn: SpecAugment's spans, and the loss."""

from typing import Any

import torch
from torch.nn import functional


def time_spans(config: Any, lengths: torch.Tensor, longest: int) -> torch.Tensor:
    """Frames that SpecAugment hides (Park et al. 2019, arXiv 1904.08779), (clips, longest), bool.

    `lengths` (clips,) are each clip's own frames, inside which its spans lie. Drawn with torch's generator. Unlike
    Wav2Vec2's, a span that does not fit a short clip is cut, not an error. `config` names them `mask_time_*`.
    """
    return _spans(lengths, longest, config.mask_time_prob, config.mask_time_length, config.mask_time_min_masks)


def feature_spans(config: Any, clips: int, features: int, device: torch.device) -> torch.Tensor:
    """Features that it hides in all of a clip's frames, (clips, features), bool: `mask_feature_*`."""
    lengths = torch.full((clips,), features, device=device)
    return _spans(
        lengths, features, config.mask_feature_prob, config.mask_feature_length, config.mask_feature_min_masks
    )


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


def ctc_loss(config: Any, logits: torch.Tensor, frames: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Nats over each clip's own frames, reduced as the config says. The blank is `config.pad_token_id`.

    `logits` (clips, frames, vocabulary), `frames` (clips,), `labels` (clips, longest), negative where there is none.
    Raises ValueError for a label outside the vocabulary.
    """
    if int(labels.max()) >= config.vocab_size:
        raise ValueError(f"There are {config.vocab_size} labels, but one is {int(labels.max())}.")
    is_label = labels >= 0
    with torch.backends.cudnn.flags(enabled=False):  # cuDNN's CTC wants the blank at id 0
        return functional.ctc_loss(
            logits.float().log_softmax(-1).transpose(0, 1),
            labels[is_label],
            frames,
            is_label.sum(-1),
            blank=config.pad_token_id,
            reduction=config.ctc_loss_reduction,
            zero_infinity=config.ctc_zero_infinity,
        )
