"""Events as progress bars in a terminal."""

import sys

from tqdm import tqdm

from trainer.runs.events import Event


class ProgressBars:
    """One bar a phase, and a line for what is worth keeping on the screen."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: tqdm | None = None
        self._phase = ""

    def show(self, event: Event) -> None:
        """Draw one event."""
        if self._quiet:
            return
        kind = event["event"]
        if kind == "phase":
            self._progress(event["phase"], event.get("done", 0), event.get("total", 0))
        elif kind == "log":
            self._progress("training", event["step"], 0)
            if self._bar is not None:
                self._bar.set_postfix(loss=f"{event['loss']:.3f}" if event["loss"] is not None else "NaN")
        elif line := _line(event):
            tqdm.write(line, file=sys.stderr)

    def close(self) -> None:
        """Leave the last bar on the screen."""
        if self._bar is not None:
            self._bar.close()

    def _progress(self, phase: str, done: int, total: int) -> None:
        if phase != self._phase and phase != "saving":
            self.close()
            self._bar = tqdm(total=total or None, desc=phase, file=sys.stderr, dynamic_ncols=True)
            self._phase = phase
        if self._bar is not None and done > self._bar.n:
            self._bar.update(done - self._bar.n)


def _line(event: Event) -> str:
    match event["event"]:
        case "place":
            return f"Waiting: {event['place']} before this one."
        case "data":
            left_out = ", ".join(f"{count} {reason}" for reason, count in event["left_out"].items())
            return (
                f"{event['source']}: {event['train_clips']} clips to train on ({event['train_seconds'] / 60:.1f} min), "
                f"{event['test_clips']} to test on. Left out: {left_out or 'none'}. {event['note']}"
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
