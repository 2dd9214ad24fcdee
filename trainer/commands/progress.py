"""Events as progress bars in a terminal."""

import sys

from tqdm import tqdm

from trainer.runs.events import ENDS, Event


class ProgressBars:
    """One bar a phase, and a line for what is worth keeping on the screen."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: tqdm | None = None
        self._phase = ""
        self._judged = ""  # for the last line: what the model was found to be worth

    def show(self, event: Event) -> None:
        """Draw one event."""
        kind = event["event"]
        if kind in ENDS:
            self.close()  # or it would be drawn again below what came of it
        if self._quiet:
            if kind == "failed":
                print(_line(event), file=sys.stderr)
            return
        if kind == "phase":
            self._progress(event["phase"], event.get("done", 0), event.get("total", 0))
        elif kind == "log":
            self._progress("training", event["step"], 0)
            if self._bar is not None:
                self._bar.set_postfix(loss=f"{event['loss']:.3f}" if event["loss"] is not None else "NaN")
        elif kind == "tested":
            self._judged = _judged(event)
        elif line := _line(event):
            tqdm.write(f"{line} {self._judged}".strip() if kind in ENDS else line, file=sys.stderr)

    def close(self) -> None:
        """Leave the last bar on the screen."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _progress(self, phase: str, done: int, total: int) -> None:
        if phase != self._phase and phase != "saving":
            self.close()
            self._bar = tqdm(total=total or None, desc=phase, file=sys.stderr, dynamic_ncols=True)
            self._phase = phase
        if self._bar is not None and done > self._bar.n:
            self._bar.update(done - self._bar.n)


def _judged(event: Event) -> str:
    """The figures of the model that was kept, by clips that decided nothing, and the untrained model's."""
    wer, cer = event["untrained_wer"], event["untrained_cer"]
    before = "" if wer is None or cer is None else f" (untrained: {wer:.1%} and {cer:.1%})"
    clips = f"On the {event['clips']} clips kept aside for the end"
    with_phrases = ""
    if "phrases_wer" in event and "phrases_cer" in event:
        with_phrases = (
            f" With the words and phrases it knows: {event['phrases_wer']:.1%} and {event['phrases_cer']:.1%}."
        )
    return f"{clips}: WER {event['wer']:.1%}, CER {event['cer']:.1%}{before}.{with_phrases}"


def _line(event: Event) -> str:
    match event["event"]:
        case "place":
            return f"Waiting: {event['place']} before this one."
        case "data":
            left_out = ", ".join(f"{count} {reason}" for reason, count in event["left_out"].items())
            minutes = event["train_seconds"] / 60
            return (
                f"{event['source']}: {event['train_clips']} clips to train on ({minutes:.1f} min), "
                f"{event['validation_clips']} to watch it by, {event['test_clips']} to test it on. "
                f"Left out: {left_out or 'none'}. {event['note']}"
            ).strip()
        case "resumed":
            return f"Resumed from step {event['step']}."
        case "note":
            return str(event["text"])
        case "evaluated":
            return f"step {event['step']}: WER {event['wer']:.1%}, CER {event['cer']:.1%}, loss {event['loss']}"
        case "failed":
            return f"{event['what']} {event['todo']}"
        case "stopping" | "stopped" | "finished":
            return f"{event['event'].capitalize()}."
    return ""
