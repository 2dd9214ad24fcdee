"""The CTC loss, over each clip's own frames."""

import torch
from torch.nn import functional


def ctc_loss(logits: torch.Tensor, frames: torch.Tensor, labels: torch.Tensor, blank: int) -> torch.Tensor:
    """Mean over clips of the loss a label (Graves et al. 2006), in nats.

    logits: (clips, frames, labels), any float type; frames: (clips,) valid frames of each clip; labels: (clips,
    longest) padded with -100. Frames that are only padding do not count, whether or not the model takes a mask.
    """
    keep = labels >= 0
    log_probabilities = functional.log_softmax(logits.float(), dim=-1).transpose(0, 1)
    with torch.backends.cudnn.flags(enabled=False):  # cuDNN's needs the blank at id 0 and is not deterministic
        return functional.ctc_loss(
            log_probabilities,
            labels.masked_select(keep),
            frames.clamp(max=logits.shape[1]),
            keep.sum(-1),
            blank=blank,
            reduction="mean",
            # A clip that does not fit its frames is left out while preparing; this is for augmented speech.
            zero_infinity=True,
        )
