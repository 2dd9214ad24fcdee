"""The part of the starter that learns: Whisper's upper layers, a trunk of convolutions for all languages, and a linear
map to each language's letters.

Weights live in bf16, with a float32 copy in the optimizer.
"""

import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from assets.starter.states import FRAMES_A_SECOND, LAYERS, LOWER, WIDTH, convolved, own_frames, through
from trainer.speech.evaluate_metrics import measured
from trainer.speech.locales import Locale
from trainer.speech.text import from_units, normalise

CONVOLUTIONS, KERNEL = 2, 3
BATCH_FRAMES = 4500
SORTED = 2000  # utterances among which those of like length are batched
MASKED, SPAN = 0.09, (3, 10)  # SpecAugment: share of frames, frames a mask
DROPOUT = 0.1
WARM_UP = 30  # steps
BLANK_BIAS = 2.0
BLANK, UNKNOWN = 0, 1


@dataclass
class Item:
    """An utterance to learn from: the labels of its text, and the states of its copies, of which one is drawn."""

    language: str
    kind: str
    source: str
    split: str
    text: str
    labels: list[int]
    copies: list[torch.Tensor]
    states: torch.Tensor


class Starter(nn.Module):
    """What is learnt. `heads`: labels of each language."""

    def __init__(self, encoder: WhisperEncoder, heads: Mapping[str, int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(list(encoder.layers)[LOWER:LAYERS])
        self.layer_norm = encoder.layer_norm
        self.convs = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, KERNEL, padding=KERNEL // 2) for _ in range(CONVOLUTIONS))
        self.heads = nn.ModuleDict({language: nn.Linear(WIDTH, labels) for language, labels in heads.items()})
        for head in self.heads.values():
            assert isinstance(head, nn.Linear)
            nn.init.normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)
            with torch.no_grad():
                head.bias[BLANK] = BLANK_BIAS
        self.bfloat16()

    def trunk(self, states: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """(clips, frames, 512) in and out; `frames` (clips,) are each clip's own."""
        own = own_frames(frames, states.shape[1])[..., None]
        hidden = self.layer_norm(through(self.layers, masked(states, frames) if self.training else states, frames))
        for convolution in self.convs:
            assert isinstance(convolution, nn.Conv1d)
            heard = functional.gelu(convolved(convolution, hidden * own))
            hidden = hidden + functional.dropout(heard, DROPOUT, self.training)
        return hidden

    def loss(self, batch: Sequence[Item]) -> torch.Tensor:
        """CTC, the mean over clips of the loss a letter."""
        states, frames = padded(batch)
        hidden, total = self.trunk(states, frames), torch.tensor(0.0)
        for language in {item.language for item in batch}:
            rows = [row for row, item in enumerate(batch) if item.language == language]
            scores = self.heads[language](hidden[rows]).float().log_softmax(-1).transpose(0, 1)
            lengths = torch.tensor([len(batch[row].labels) for row in rows])
            labels = torch.tensor([label for row in rows for label in batch[row].labels])
            losses = functional.ctc_loss(
                scores, labels, frames[rows], lengths, blank=BLANK, reduction="none", zero_infinity=True
            )
            total = total + (losses / lengths).sum()
        return total / len(batch)


def padded(batch: Sequence[Item]) -> tuple[torch.Tensor, torch.Tensor]:
    """States (clips, longest, 512) bf16 and how many frames of each are its own."""
    frames = torch.tensor([len(item.states) for item in batch])
    states = torch.zeros(len(batch), int(frames.max()), WIDTH, dtype=torch.bfloat16)
    for row, item in enumerate(batch):
        states[row, : len(item.states)] = item.states
    return states, frames


def masked(states: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """With some stretches of every clip hidden (Park et al. 2019, arXiv 1904.08779)."""
    states = states.clone()
    for row, count in enumerate(frames.tolist()):
        for _ in range(int(MASKED * count / SPAN[1] + random.random())):
            start = random.randrange(max(1, count - SPAN[1]))
            states[row, start : start + random.randint(*SPAN)] = 0
    return states


def batches(items: Iterable[Item], often: Callable[[Item], float], rng: random.Random) -> Iterator[list[Item]]:
    """An epoch: each item as `often` as told, with a copy drawn anew, in batches of like length."""
    chosen = [item for item in items for _ in range(int(often(item) + rng.random()))]
    rng.shuffle(chosen)
    made: list[list[Item]] = []
    for start in range(0, len(chosen), SORTED):
        batch: list[Item] = []
        for item in sorted(chosen[start : start + SORTED], key=lambda item: len(item.copies[0])):
            item.states = rng.choice(item.copies)
            if batch and (len(batch) + 1) * max(len(item.states), len(batch[-1].states)) > BATCH_FRAMES:
                made.append(batch)
                batch = []
            batch.append(item)
        made += [batch] if batch else []
    rng.shuffle(made)
    yield from made


class MasterAdamW:
    """AdamW on float32 copies of bf16 weights."""

    def __init__(self, groups: list[tuple[list[nn.Parameter], float]]) -> None:
        self._live = [weight for weights, _ in groups for weight in weights]
        masters = [[weight.detach().float().requires_grad_() for weight in weights] for weights, _ in groups]
        self._masters = [master for of in masters for master in of]
        self._rates = [rate for _, rate in groups]
        self._optimizer = torch.optim.AdamW(
            [{"params": of} for of in masters], betas=(0.9, 0.98), weight_decay=0.01, fused=True
        )

    def step(self, share: float) -> None:
        """With `share` of the full learning rates."""
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * share
        for live, master in zip(self._live, self._masters, strict=True):
            master.grad = None if live.grad is None else live.grad.float()
            live.grad = None
        nn.utils.clip_grad_norm_(self._masters, 1.0)
        self._optimizer.step()
        with torch.no_grad():
            for live, master in zip(self._live, self._masters, strict=True):
                live.copy_(master)


@dataclass(frozen=True)
class Stage:
    """Minutes of learning; `layers_rate` 0 leaves Whisper's layers alone."""

    minutes: float
    rate: float
    layers_rate: float


def learn(
    model: Starter,
    items: Callable[[], list[Item]],
    often: Callable[[list[Item]], Callable[[Item], float]],
    stage: Stage,
    report: Callable[[int, float, float], None],
    seed: int,
) -> None:
    """One stage; `items` is asked again before each epoch. `report` hears steps, minutes and loss, every 25 steps."""
    layers = [*model.layers.parameters(), *model.layer_norm.parameters()]
    rest = [*model.convs.parameters(), *model.heads.parameters()]
    for weight in layers:
        weight.requires_grad_(stage.layers_rate > 0)
    optimizer = MasterAdamW([(rest, stage.rate), *([(layers, stage.layers_rate)] if stage.layers_rate else [])])
    rng, started, step, mean = random.Random(seed), time.monotonic(), 0, 0.0
    random.seed(seed)
    model.train()
    while True:
        now = items()
        for batch in batches(now, often(now), rng):
            share = (time.monotonic() - started) / (60 * stage.minutes)
            if share >= 1:
                return
            loss = model.loss(batch)
            loss.backward()
            optimizer.step(min(1.0, (step + 1) / WARM_UP) * (0.51 + 0.49 * math.cos(math.pi * share)))
            step += 1
            mean = loss.item() if step == 1 else 0.98 * mean + 0.02 * loss.item()
            if step % 25 == 0:
                report(step, share * stage.minutes, mean)


@torch.inference_mode()
def judge(
    model: Starter, items: Iterable[Item], letters: Mapping[str, Mapping[int, str]], locales: Mapping[str, Locale]
) -> dict[tuple[str, str], tuple[float, float, int, str]]:
    """By language and source: WER, CER, clips, and what was made of the first one."""
    model.eval()
    said: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for batch in batches(items, lambda item: 1, random.Random(0)):
        states, frames = padded(batch)
        hidden = model.trunk(states, frames)
        for row, item in enumerate(batch):
            ids = model.heads[item.language](hidden[row, : frames[row]]).argmax(-1).unique_consecutive().tolist()
            units = "".join(letters[item.language][label] for label in ids if label not in (BLANK, UNKNOWN))
            spoken = locales[item.language]
            heard = normalise(from_units(units, spoken), spoken)
            said.setdefault((item.language, item.source), []).append((item.text, heard))
    model.train()
    found = {}
    for of, pairs in sorted(said.items()):
        rates = measured([text for text, _ in pairs], [heard for _, heard in pairs])
        found[of] = (rates.wer, rates.cer, len(pairs), " | ".join(pairs[0]))
    return found


def seconds_of(items: Iterable[Item]) -> float:
    return sum(len(item.copies[0]) for item in items) / FRAMES_A_SECOND
