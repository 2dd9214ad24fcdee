"""What Whisper's lower layers make of every utterance: computed once, in bf16, and kept in files.

The lower layers are never trained, so this is all that learning needs to know of a sound. One thread is quickest on a
machine that does other things too, and bf16 three to five times as quick as float32 where the processor multiplies it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional
from transformers import WhisperConfig, WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from assets.starter.manifest import Utterance
from assets.starter.telephone import RATE, record

WIDTH, LAYERS, FRAMES_A_SECOND = 512, 6, 50
LOWER = 4  # layers that stay as Whisper has them
COPIES = {"real": 3, "kokoro": 2, "espeak": 1}  # by the kind of list: the first is clean, the others are recorded anew
SPEEDS = (0.88, 1.15)
SECONDS = (0.4, 22.0)
BATCH_SECONDS = 30


@dataclass(frozen=True)
class Heard:
    """An utterance and what the lower layers made of one copy of it: (frames, 512) bf16."""

    said: Utterance
    kind: str
    copy: int
    states: torch.Tensor


def whisper_encoder(folder: Path) -> WhisperEncoder:
    """Of `assets.starter.whisper`'s folder, in bf16."""
    config = WhisperConfig(d_model=WIDTH, encoder_layers=LAYERS, encoder_attention_heads=8, encoder_ffn_dim=2048)
    encoder = WhisperEncoder(config)
    weights = load_file(folder / "encoder.safetensors")
    encoder.load_state_dict({name.removeprefix("model.encoder."): value.float() for name, value in weights.items()})
    encoder.bfloat16().eval()
    return encoder


def convolved(convolution: nn.Conv1d, frames: torch.Tensor, stride: int = 1) -> torch.Tensor:
    """(clips, frames, channels) in and out, as one matrix product: a bf16 convolution is several times as slow."""
    kernel, channels = convolution.kernel_size[0], convolution.out_channels
    around = functional.pad(frames, (0, 0, kernel // 2, kernel // 2)).unfold(1, kernel, stride)
    return functional.linear(around.flatten(2), convolution.weight.reshape(channels, -1), convolution.bias)


def own_frames(lengths: torch.Tensor, longest: int) -> torch.Tensor:
    """(clips, longest), bool."""
    return torch.arange(longest)[None] < lengths[:, None]


def through(layers: Iterable[nn.Module], hidden: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """(clips, frames, 512) in and out; nobody attends to padding."""
    own = own_frames(lengths, hidden.shape[1])
    mask = torch.where(own, 0.0, -1e9)[:, None, None].to(hidden.dtype).expand(-1, 1, hidden.shape[1], -1)
    for layer in layers:
        hidden = layer(hidden, None if own.all() else mask)
    return hidden


class LowerLayers:
    """Sounds to states."""

    def __init__(self, encoder: WhisperEncoder) -> None:
        self._encoder = encoder
        self._features = WhisperFeatureExtractor()

    @torch.inference_mode()
    def __call__(self, sounds: list[np.ndarray]) -> list[torch.Tensor]:
        """float32 at 16 kHz each -> (frames, 512) bf16 each, clones of their own."""
        extract = self._features._torch_extract_fbank_features  # as its call does, which pads to 30 s
        mels = [torch.from_numpy(np.asarray(extract(sound[None]))[0]) for sound in sounds]
        lengths = torch.tensor([mel.shape[1] for mel in mels])
        batch = torch.zeros(len(mels), int(lengths.max()), mels[0].shape[0], dtype=torch.bfloat16)
        for number, mel in enumerate(mels):
            batch[number, : mel.shape[1]] = mel.T
        hidden = functional.gelu(convolved(self._encoder.conv1, batch))
        hidden = hidden * own_frames(lengths, hidden.shape[1])[..., None]
        hidden = functional.gelu(convolved(self._encoder.conv2, hidden, stride=2))
        frames = (lengths + 1) // 2
        hidden = through(
            self._encoder.layers[:LOWER], hidden + self._encoder.embed_positions.weight[: hidden.shape[1]], frames
        )
        return [hidden[number, :count].clone() for number, count in enumerate(frames.tolist())]


def copies_of(said: Utterance, kind: str, rng: np.random.Generator) -> Iterator[tuple[int, np.ndarray]]:
    """The sound itself, and copies of it at other speeds, in rooms, noise and telephones. One for validation.

    A synthesizer's that is plenty is heard through such a line alone.
    """
    sound, rate = soundfile.read(said.path, dtype="float32")
    assert rate == RATE
    if not SECONDS[0] * RATE < len(sound) < SECONDS[1] * RATE:
        return
    for number in range(1 if said.split == "val" else COPIES[kind]):
        changed = number > 0 or (kind == "espeak" and said.split == "train")
        yield number, record(sound, RATE * rng.uniform(*SPEEDS), rng) * 0.1 if changed else sound


def hear(lower: LowerLayers, said: list[tuple[Utterance, str]], rng: np.random.Generator) -> list[Heard]:
    """All copies of these utterances, each with its list's kind."""
    copies = [(row, kind, *copy) for row, kind in said for copy in copies_of(row, kind, rng)]
    copies.sort(key=lambda copy: len(copy[3]))
    heard: list[Heard] = []
    batch: list[tuple[Utterance, str, int, np.ndarray]] = []
    for copy in [*copies, None]:
        if batch and (copy is None or (len(batch) + 1) * len(copy[3]) > BATCH_SECONDS * RATE):
            states = lower([sound for *_, sound in batch])
            heard += [Heard(*of[:3], state) for of, state in zip(batch, states, strict=True)]
            batch = []
        if copy is not None:
            batch.append(copy)
    return heard
