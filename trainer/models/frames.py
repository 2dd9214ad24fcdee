"""How many CTC frames come of so many samples at 16 kHz: one function a kind of front end. Imports no torch.

Each takes config.json's values and the number of samples, and gives the frames of a clip heard alone, at least 0.
"""

from typing import Any

WINDOW, HOP = 400, 160  # samples: 25 ms of sound each 10 ms, in every log-mel extractor here


def from_samples(config: dict[str, Any], samples: int) -> int:
    """Convolutions on raw audio (wav2vec 2.0 and its kin), then an adapter where there is one.

    SEW pools frames for its transformer and spreads them again afterwards, so it ends with as many.
    """
    length = samples
    for kernel, stride in zip(config["conv_kernel"], config["conv_stride"], strict=True):
        length = (length - kernel) // stride + 1
    if config.get("add_adapter"):
        for _ in range(config.get("num_adapter_layers", 3)):
            length = (length - 1) // config.get("adapter_stride", 2) + 1
    return max(0, length)


def from_mctct_features(config: dict[str, Any], samples: int) -> int:
    """M-CTC-T: log-mel frames, zeros on either side, then convolutions. The arithmetic of mctct/front_end.py."""
    kernels, strides = config.get("conv_kernel", (7,)), config.get("conv_stride", (3,))
    if samples < WINDOW:
        return 0
    length = _windows(samples) + 2 * sum(kernel // 2 for kernel in kernels)
    for kernel, stride in zip(kernels, strides, strict=True):
        length = (length - kernel) // stride + 1
    return max(0, length)


def from_stacked_features(config: dict[str, Any], samples: int) -> int:
    """Wav2Vec2-BERT: its extractor stacks two log-mel frames to one; an adapter shortens further, where there is one.

    An odd last frame is stacked with padding, and the mask leaves it out: so it is not counted.
    """
    length = _windows(samples) // 2
    if config.get("add_adapter"):
        kernel, stride = config.get("adapter_kernel_size", 3), config.get("adapter_stride", 2)
        for _ in range(config.get("num_adapter_layers", 1)):
            length = (length + 2 * (kernel // 2) - kernel) // stride + 1
    return max(0, length)


def from_subsampled_features(config: dict[str, Any], samples: int) -> int:
    """Parakeet: a log-mel frame each full hop, then log2(subsampling_factor) convolutions of kernel 3, stride 2."""
    encoder = config.get("encoder_config") or {}
    kernel, stride = encoder.get("subsampling_conv_kernel_size", 3), encoder.get("subsampling_conv_stride", 2)
    length = samples // HOP
    for _ in range(encoder.get("subsampling_factor", 8).bit_length() - 1):
        length = (length + (kernel - 1) // 2 * 2 - kernel) // stride + 1
    return max(0, length)


def _windows(samples: int) -> int:
    """Full log-mel windows in so many samples."""
    return max(0, (samples - WINDOW) // HOP + 1)
