"""Makes the starter model: a small wav2vec2 that has heard synthetic speech in twelve languages.

    python -m assets.starter.make --minutes-frames 22 --minutes-ctc 20

Stage 1 learns each frame's phone by cross-entropy, since CTC from a random start sits on blanks for long;
stage 2 learns the sequence of phones by CTC, as a fine-tune will. Started again it goes on where it was; with
more minutes it goes on beyond. At each evaluation the model so far is put into --out.

Needs beyond requirements.txt: Debian's libespeak-ng1 and espeak-ng-data (1.51), and `pip install wordfreq`.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import jiwer
import torch
from torch.nn.functional import cross_entropy, ctc_loss
from torch.utils.data import DataLoader
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

from assets.starter.utterances import BLANK, IGNORED, SEEN, UNSEEN, Batch, Utterances, list_phones

PEAK_RATES = (2e-3, 1e-3)  # learning rates of stage 1 and 2
WARM_UP_STEPS = 200
SAVE_SECONDS, EVALUATE_SECONDS = 60, 150
EVALUATION_BATCHES = 8  # of 60 s


@dataclass
class Progress:
    """How far the making is; stage 0 learns frames, stage 1 CTC."""

    stage: int = 0
    seconds: list[float] = field(default_factory=lambda: [0.0, 0.0])  # of training in each stage
    steps: list[int] = field(default_factory=lambda: [0, 0])
    audio_seconds: float = 0
    curve: list[dict[str, float]] = field(default_factory=list)


def new_model(labels: int) -> Wav2Vec2ForCTC:
    config = Wav2Vec2Config(
        vocab_size=labels,
        hidden_size=192,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=768,
        conv_dim=(32, 64, 96, 128, 160, 192, 192),
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
        mask_time_prob=0.05,
        mask_time_length=4,
        ctc_loss_reduction="mean",
        ctc_zero_infinity=True,
        pad_token_id=BLANK,
        bos_token_id=None,
        eos_token_id=None,
    )
    return Wav2Vec2ForCTC(config)


def load_batches(phones: list[str], voices: tuple[str, ...], seed: int, count: int | None = None) -> Iterator[Batch]:
    """`count` batches, or no end of them, made in a process of its own, a few ahead."""
    data = Utterances(phones, voices, seed, count)
    # "spawn", since libespeak-ng does not survive a fork.
    loader = DataLoader(data, batch_size=None, num_workers=1, prefetch_factor=12, multiprocessing_context="spawn")
    return iter(loader)


def logits_of(model: Wav2Vec2ForCTC, batch: Batch) -> torch.Tensor:
    """(B, F, labels) float32."""
    with torch.autocast("cpu", torch.bfloat16):
        return model(batch.sounds).logits.float()


def loss_of(model: Wav2Vec2ForCTC, batch: Batch, stage: int) -> torch.Tensor:
    logits = logits_of(model, batch)
    if stage == 0:
        return cross_entropy(logits.transpose(1, 2), batch.frames, ignore_index=IGNORED)
    lengths = (batch.frames != IGNORED).sum(1), (batch.phones != IGNORED).sum(1)
    scores = logits.log_softmax(-1).transpose(0, 1)
    return ctc_loss(scores, batch.phones.clamp(min=0), *lengths, blank=BLANK, zero_infinity=True)


@torch.no_grad()
def evaluate(model: Wav2Vec2ForCTC, batches: list[Batch]) -> tuple[float, float]:
    """Frame accuracy and phone error rate."""
    model.eval()
    right = frames = 0
    truth: list[str] = []
    heard: list[str] = []
    for batch in batches:
        best = logits_of(model, batch).argmax(-1)
        spoken = batch.frames != IGNORED
        right += int((best == batch.frames)[spoken].sum())
        frames += int(spoken.sum())
        for guess, mask, phones in zip(best, spoken, batch.phones, strict=True):
            collapsed = guess[mask].unique_consecutive()
            heard.append(" ".join(map(str, collapsed[collapsed != BLANK].tolist())))
            truth.append(" ".join(map(str, phones[phones != IGNORED].tolist())))
    model.train()
    return right / frames, jiwer.wer(truth, heard)


def export(model: Wav2Vec2ForCTC, phones: list[str], out: Path) -> None:
    """Put the model into `out`, each file at once; weights are stored as fp16 and load as fp32."""
    with tempfile.TemporaryDirectory(dir=out) as folder:
        new = Path(folder)
        model.save_pretrained(new, state_dict={k: v.half() for k, v in model.state_dict().items()})
        Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False).save_pretrained(new)
        (new / "phones.json").write_text(json.dumps(phones, ensure_ascii=False) + "\n")
        for file in new.iterdir():
            file.chmod(0o644)
            file.replace(out / file.name)


class Making:
    """The model, its optimizer and its progress, kept in the `work` folder."""

    def __init__(self, work: Path, out: Path) -> None:
        self.out, self.state = out, work / "state.pt"
        list_file = work / "phones.json"
        if not list_file.exists():
            list_file.write_text(json.dumps(list_phones(), ensure_ascii=False))
        self.phones: list[str] = json.loads(list_file.read_text())
        torch.manual_seed(0)
        self.model = new_model(len(self.phones)).train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), betas=(0.9, 0.98), weight_decay=0.01)
        self.progress = Progress()
        if self.state.exists():
            saved = torch.load(self.state)
            self.model.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.progress = Progress(**saved["progress"])
        self.unseen = [*load_batches(self.phones, UNSEEN, 2**31, EVALUATION_BATCHES)]
        # One for both stages: torch may fail when a loader is dropped while its process is still at work.
        self.batches = load_batches(self.phones, SEEN, seed=sum(self.progress.steps))
        next(self.batches)  # waits for the other process, which takes seconds to start

    def save(self) -> None:
        parts = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save({**parts, "progress": vars(self.progress)}, self.state.with_suffix(".new"))
        self.state.with_suffix(".new").replace(self.state)

    def run_stage(self, stage: int, budget: float) -> None:
        """Train until the stage has had `budget` seconds, earlier sessions counted in."""
        progress = self.progress
        if progress.seconds[stage] >= budget or progress.stage > stage:
            return
        progress.stage = stage
        saved = evaluated = progress.seconds[stage]
        start = time.monotonic() - progress.seconds[stage]
        for batch in self.batches:
            self._step(batch, stage, min(1, progress.seconds[stage] / budget))
            progress.seconds[stage] = now = time.monotonic() - start
            done = now >= budget
            if done or now - evaluated >= EVALUATE_SECONDS:
                self._report(stage)
                start += time.monotonic() - start - now  # evaluation is not training
                evaluated = now
            if done or now - saved >= SAVE_SECONDS:
                self.save()
                saved = now
            if done:
                return

    def _step(self, batch: Batch, stage: int, share: float) -> None:
        """One update; `share` of the stage's time is over, and the rate falls with it to 2 % of its peak."""
        warm_up = min(1, (self.progress.steps[stage] + 1) / WARM_UP_STEPS)
        rate = PEAK_RATES[stage] * warm_up * (0.51 + 0.49 * math.cos(math.pi * share))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = loss_of(self.model, batch, stage)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.progress.steps[stage] += 1
        self.progress.audio_seconds += batch.seconds
        if self.progress.steps[stage] % 50 == 0:
            print(f"stage {stage + 1} step {self.progress.steps[stage]} loss {loss.item():.3f}", flush=True)

    def _report(self, stage: int) -> None:
        accuracy, errors = evaluate(self.model, self.unseen)
        point = {
            "stage": stage + 1,
            "minutes": round(self.progress.seconds[stage] / 60, 1),
            "steps": self.progress.steps[stage],
            "hours_of_speech": round(self.progress.audio_seconds / 3600, 1),
            "frame_accuracy": round(accuracy, 4),
            "phone_error_rate": round(errors, 4),
        }
        self.progress.curve.append(point)
        print(json.dumps(point), flush=True)
        export(self.model, self.phones, self.out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes-frames", type=float, default=22, help="of stage 1")
    parser.add_argument("--minutes-ctc", type=float, default=20, help="of stage 2")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where the model is put")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "voicetune-starter")
    given = parser.parse_args()
    for folder in (given.out, given.work):
        folder.mkdir(parents=True, exist_ok=True)
    making = Making(given.work, given.out)
    parameters = sum(p.numel() for p in making.model.parameters())
    print(f"{parameters:,} parameters, {len(making.phones)} labels", flush=True)
    making.run_stage(0, given.minutes_frames * 60)
    making.run_stage(1, given.minutes_ctc * 60)


if __name__ == "__main__":
    main()
