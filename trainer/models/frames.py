"""How many CTC frames come of so many samples at 16 kHz: one function a kind of front end. Imports no torch.

Each takes config.json's values, complete as `Architecture.complete` gives them, and the number of samples. It gives the
frames of a clip heard alone; 0 for a clip too short to be heard at all.
"""

from collections.abc import Iterable
from math import prod
from typing import Any

WINDOW, HOP = 400, 160  # samples: 25 ms of sound each 10 ms, in every log-mel extractor here
WHISPER_STRIDE = 2  # log-mel frames to a frame of Whisper's encoder


def whole_windows(samples: int, window: int = WINDOW, hop: int = HOP) -> int:
    """Log-mel windows of `window` samples, one each `hop`, that lie wholly within so many samples."""
    return max(0, (samples - window) // hop + 1)


def convolved(length: Any, kernels: Iterable[int], strides: Iterable[int]) -> Any:
    """What convolutions without padding leave of a length, a number or a tensor of them; may be below 0."""
    for kernel, stride in zip(kernels, strides, strict=True):
        length = (length - kernel) // stride + 1
    return length


def mctct_convolved(length: Any, kernels: Iterable[int], strides: Iterable[int]) -> Any:
    """The same for M-CTC-T, which puts the zeros of all its convolutions before the first one."""
    return convolved(length + 2 * mctct_padding(kernels), kernels, strides)


def mctct_padding(kernels: Iterable[int]) -> int:
    """Frames of zeros that M-CTC-T puts on either side of a clip: half of each kernel."""
    return sum(kernel // 2 for kernel in kernels)


def whisper_convolved(length: Any) -> Any:
    """Frames of Whisper's encoder for so many log-mel frames, a number or a tensor of them: rounded up."""
    return (length + WHISPER_STRIDE - 1) // WHISPER_STRIDE


def from_samples(config: dict[str, Any], samples: int) -> int:
    """Convolutions on raw audio (wav2vec 2.0 and its kin), then an adapter where there is one."""
    length = convolved(samples, config["conv_kernel"], config["conv_stride"])
    if config.get("add_adapter"):
        for _ in range(config["num_adapter_layers"]):
            length = (length - 1) // config["adapter_stride"] + 1
    return max(0, length)


def from_pooled_samples(config: dict[str, Any], samples: int) -> int:
    """SEW: pools frames for its transformer and spreads them again afterwards. What is left over is not heard."""
    return from_samples(config, kept_to_pool(config, samples))


def kept_to_pool(config: dict[str, Any], samples: int) -> int:
    """The samples that make whole pools of frames.

    SEW hears a pool that is not full otherwise alone (not at all) than in a batch (filled with padding).
    """
    left_over = from_samples(config, samples) % config["squeeze_factor"]
    return samples - left_over * prod(config["conv_stride"])


def from_mctct_features(config: dict[str, Any], samples: int) -> int:
    """M-CTC-T: log-mel frames, then convolutions."""
    if samples < WINDOW:
        return 0
    return max(0, mctct_convolved(whole_windows(samples), config["conv_kernel"], config["conv_stride"]))


def from_stacked_features(config: dict[str, Any], samples: int) -> int:
    """Wav2Vec2-BERT: its extractor stacks two log-mel frames to one; an adapter shortens further, where there is one.

    An odd last frame is stacked with padding, and the mask leaves it out: so it is not counted.
    """
    length = whole_windows(samples) // 2
    if config.get("add_adapter") and length:
        kernel, stride = config["adapter_kernel_size"], config["adapter_stride"]
        for _ in range(config["num_adapter_layers"]):
            length = convolved(length + 2 * (kernel // 2), (kernel,), (stride,))
    return max(0, length)


def from_subsampled_features(config: dict[str, Any], samples: int) -> int:
    """Parakeet: a log-mel frame each full hop, then log2(subsampling_factor) convolutions of kernel 3, stride 2."""
    length = samples // HOP
    if length < 2:
        return 0  # the extractor divides by the variance, and of one frame there is none
    encoder = config["encoder_config"]
    kernel, stride = encoder["subsampling_conv_kernel_size"], encoder["subsampling_conv_stride"]
    for _ in range(encoder["subsampling_factor"].bit_length() - 1):
        length = convolved(length + (kernel - 1) // 2 * 2, (kernel,), (stride,))
    return max(0, length)


def from_whisper_features(config: dict[str, Any], samples: int) -> int:
    """Whisper: a log-mel frame each full hop, of which its convolutions halve the number."""
    if samples < WINDOW:
        return 0  # the extractor mirrors half a window at either end, and there must be as much to mirror
    return int(whisper_convolved(samples // HOP))
