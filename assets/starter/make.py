"""Makes the starter model: a small wav2vec2 that has heard synthetic speech in twelve languages.

    python -m assets.starter.make --minutes 50

Its second layer learns phones, the same for all languages, and its last one learns letters. In the first fifth of
the time each frame's phone is learnt by cross-entropy, since CTC from a random start sits on blanks for long; then
phones are a sequence too. Started again it goes on where it was. At each evaluation the model so far is put into
--out; the letters' head is left out, since a fine-tune puts its own on it.

Needs beyond requirements.txt: Debian's libespeak-ng1 and espeak-ng-data (1.51), and `pip install wordfreq`; for
--others what other_voices.py names.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import jiwer
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

from assets.starter.sentences import list_letters
from assets.starter.utterances import BLANK, IGNORED, SEEN, UNSEEN, Batch, Labels, Utterances, list_phones
from trainer.models.padding import clip_lengths, ignore_padding
from trainer.training.loss import ctc_loss

PEAK_RATE = 1.5e-3
WARM_UP_STEPS = 400
FRAMES_SHARE = 0.2  # of the time, in which phones are learnt frame by frame
FALLING_SHARE = 0.45  # of the time, at its end, in which the rate falls to nothing
PHONES_LAYER = 2  # of 4
PHONES_WEIGHT = 0.3  # of the loss, beside the letters'
SAVE_SECONDS, EVALUATE_SECONDS = 60, 240
EVALUATION_BATCHES = 10  # of 60 s
KERNELS, STRIDES = (20, 8, 8, 3), (10, 4, 4, 3)  # samples at 16 kHz, then frames of the layer before


@dataclass
class Progress:
    """How far the making is."""

    seconds: float = 0
    steps: int = 0
    audio_seconds: float = 0
    curve: list[dict[str, float]] = field(default_factory=list)


def new_model(labels: int) -> Wav2Vec2ForCTC:
    config = Wav2Vec2Config(
        vocab_size=labels,
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=1024,
        # Four convolutions and 33 frames a second instead of seven and 50: quicker, and on two cores that is what
        # decides. 33 frames hold the letters of fast speech.
        conv_dim=(64, 128, 192, 256),
        conv_kernel=KERNELS,
        conv_stride=STRIDES,
        conv_bias=False,
        feat_extract_norm="group",
        num_conv_pos_embeddings=32,
        num_conv_pos_embedding_groups=16,
        # Dropout costs a fifth of a step on a CPU, and this much speech is not learnt by heart.
        hidden_dropout=0.0,
        activation_dropout=0.0,
        attention_dropout=0.0,
        feat_proj_dropout=0.0,
        feat_quantizer_dropout=0.0,
        final_dropout=0.0,
        layerdrop=0.0,
        mask_time_prob=0.06,
        mask_time_length=4,
        mask_time_min_masks=0,
        ctc_loss_reduction="mean",
        ctc_zero_infinity=True,
        pad_token_id=BLANK,
        bos_token_id=None,
        eos_token_id=None,
    )
    # Fused attention is slower on a CPU for clips as short as these.
    model = Wav2Vec2ForCTC._from_config(config, attn_implementation="eager")
    ignore_padding(model)
    return model


class Learner(nn.Module):
    """The model with a second head, for phones, on its second layer."""

    def __init__(self, labels: Labels) -> None:
        super().__init__()
        self.model = new_model(len(labels.letters))
        self.phones = nn.Linear(self.model.config.hidden_size, len(labels.phones))

    def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of phones (B, F, phones) and of letters (B, F, letters), float32."""
        mask = (torch.arange(batch.sounds.shape[1]) < batch.lengths[:, None]).long()
        with (
            torch.autocast("cpu", torch.bfloat16),
            clip_lengths(self.model, (batch.lengths - KERNELS[0]) // STRIDES[0] + 1, _frames(batch)),
        ):
            heard = self.model.wav2vec2(batch.sounds, attention_mask=mask, output_hidden_states=True)
            phones = self.phones(heard.hidden_states[PHONES_LAYER])
            letters = self.model.lm_head(heard.last_hidden_state)
        return phones.float(), letters.float()

    def loss(self, batch: Batch, frame_by_frame: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Of phones and of letters, in nats a label."""
        phones, letters = self(batch)
        frames = _frames(batch)
        if frame_by_frame:
            of_phones = cross_entropy(phones.transpose(1, 2), batch.frames, ignore_index=IGNORED)
        else:
            of_phones = ctc_loss(phones, frames, batch.phones, BLANK)
        return of_phones, ctc_loss(letters, frames, batch.letters, BLANK)


def _frames(batch: Batch) -> torch.Tensor:
    """(B,) frames that the model makes of each utterance."""
    frames = batch.lengths
    for kernel, stride in zip(KERNELS, STRIDES, strict=True):
        frames = (frames - kernel) // stride + 1
    return frames


@torch.no_grad()
def evaluate(learner: Learner, batches: list[Batch]) -> dict[str, float]:
    """Frame accuracy; error rates of phones and of letters by CTC."""
    learner.eval()
    right = frames = 0
    pairs: dict[str, list[tuple[str, str]]] = {"phone_error_rate": [], "letter_error_rate": []}
    for batch in batches:
        phones, letters = (logits.argmax(-1) for logits in learner(batch))
        spoken = batch.frames != IGNORED
        right += int((phones == batch.frames)[spoken].sum())
        frames += int(spoken.sum())
        for name, guesses, truths in zip(pairs, (phones, letters), (batch.phones, batch.letters), strict=True):
            for guess, count, truth in zip(guesses, _frames(batch), truths, strict=True):
                collapsed = guess[:count].unique_consecutive()
                pairs[name].append((_words(truth[truth != IGNORED]), _words(collapsed[collapsed != BLANK])))
    learner.train()
    rates = {name: round(jiwer.wer(*map(list, zip(*some, strict=True))), 4) for name, some in pairs.items()}
    return {"frame_accuracy": round(right / frames, 4), **rates}


def _words(ids: torch.Tensor) -> str:
    return " ".join(map(str, ids.tolist()))


def export(model: Wav2Vec2ForCTC, labels: Labels, out: Path) -> None:
    """Put the model into `out`, each file at once; weights are stored as fp16 and load as fp32."""
    weights = {name: value.half() for name, value in model.state_dict().items() if not name.startswith("lm_head")}
    with tempfile.TemporaryDirectory(dir=out) as folder:
        new = Path(folder)
        model.save_pretrained(new, state_dict=weights)
        Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False).save_pretrained(new)
        (new / "phones.json").write_text(json.dumps(labels.phones, ensure_ascii=False) + "\n", encoding="utf-8")
        for file in new.iterdir():
            file.chmod(0o644)
            file.replace(out / file.name)


class Making:
    """The model, its optimizer and its progress, kept in the `work` folder."""

    def __init__(self, work: Path, out: Path, others: Path | None) -> None:
        self.out, self.state = out, work / "state.pt"
        list_file = work / "labels.json"
        if not list_file.exists():
            list_file.write_text(json.dumps({"phones": list_phones(), "letters": list_letters()}), encoding="utf-8")
        self.labels = Labels(**json.loads(list_file.read_text(encoding="utf-8")))
        torch.manual_seed(0)
        self.learner = Learner(self.labels).train()
        self.optimizer = torch.optim.AdamW(self.learner.parameters(), betas=(0.9, 0.98), weight_decay=0.01, fused=True)
        self.progress = Progress()
        if self.state.exists():
            saved = torch.load(self.state)
            self.learner.load_state_dict(saved["learner"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.progress = Progress(**saved["progress"])
        self.unseen = [*self._load(UNSEEN, 2**31, None, EVALUATION_BATCHES)]
        self.batches = self._load(SEEN, self.progress.steps, others)
        next(self.batches)  # waits for the other process, which takes seconds to start

    def _load(
        self, voices: tuple[str, ...], seed: int, others: Path | None, count: int | None = None
    ) -> Iterator[Batch]:
        """`count` batches, or no end of them, made in a process of its own, a few ahead."""
        data = Utterances(self.labels, voices, seed, count, others)
        # "spawn", since libespeak-ng does not survive a fork.
        return iter(
            DataLoader(data, batch_size=None, num_workers=1, prefetch_factor=12, multiprocessing_context="spawn")
        )

    def save(self) -> None:
        parts = {"learner": self.learner.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save({**parts, "progress": vars(self.progress)}, self.state.with_suffix(".new"))
        self.state.with_suffix(".new").replace(self.state)

    def run(self, budget: float) -> None:
        """Train until there were `budget` seconds of it, earlier sessions counted in."""
        progress = self.progress
        saved = evaluated = progress.seconds
        start = time.monotonic() - progress.seconds
        for batch in self.batches:
            if progress.seconds >= budget:
                return
            self._step(batch, progress.seconds / budget)
            progress.seconds = now = time.monotonic() - start
            done = now >= budget
            if done or now - evaluated >= EVALUATE_SECONDS:
                self._report()
                start += time.monotonic() - start - now  # evaluation is not training
                evaluated = now
            if done or now - saved >= SAVE_SECONDS:
                self.save()
                saved = now

    def _step(self, batch: Batch, share: float) -> None:
        """One update; `share` of the time is over."""
        warm_up = min(1, (self.progress.steps + 1) / WARM_UP_STEPS)
        for group in self.optimizer.param_groups:
            group["lr"] = PEAK_RATE * warm_up * max(0.01, min(1, (1 - share) / FALLING_SHARE))
        frame_by_frame = share < FRAMES_SHARE
        of_phones, of_letters = self.learner.loss(batch, frame_by_frame)
        weights = (1, PHONES_WEIGHT) if frame_by_frame else (PHONES_WEIGHT, 1)
        (weights[0] * of_phones + weights[1] * of_letters).backward()
        torch.nn.utils.clip_grad_norm_(self.learner.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.progress.steps += 1
        self.progress.audio_seconds += batch.seconds
        if self.progress.steps % 50 == 0:
            print(
                f"step {self.progress.steps} phones {of_phones.item():.3f} letters {of_letters.item():.3f} "
                f"{self.progress.audio_seconds / self.progress.seconds:.0f} s/s",
                flush=True,
            )

    def _report(self) -> None:
        point = {
            "minutes": round(self.progress.seconds / 60, 1),
            "steps": self.progress.steps,
            "hours_of_speech": round(self.progress.audio_seconds / 3600, 1),
            **evaluate(self.learner, self.unseen),
        }
        self.progress.curve.append(point)
        print(json.dumps(point), flush=True)
        export(self.learner.model, self.labels, self.out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=50, help="of training, in all")
    parser.add_argument("--others", type=Path, help="a folder that other_voices.py made")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where the model is put")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "voicetune-starter")
    given = parser.parse_args()
    for folder in (given.out, given.work):
        folder.mkdir(parents=True, exist_ok=True)
    making = Making(given.work, given.out, given.others)
    parameters = sum(p.numel() for name, p in making.learner.model.named_parameters() if "lm_head" not in name)
    print(
        f"{parameters:,} parameters, {len(making.labels.phones)} phones, {len(making.labels.letters)} letters",
        flush=True,
    )
    making.run(given.minutes * 60)
    # The other process waits for somebody to take its next batch; torch may fail on the way out through it.
    os._exit(0)


if __name__ == "__main__":
    main()
