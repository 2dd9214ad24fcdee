"""How quick a run is, from when its events were told: seconds a step and a check, and what is left of it."""

from dataclasses import dataclass, field

MOST_MARKS = 256
FEWEST_STEPS = 2  # after the first that was told, until anything is said


@dataclass
class Pace:
    """Of one attempt. Steps and checks are timed apart: a tenth of a run may hold no check or several.

    `marks` are steps with the seconds that had been worked on steps until they were told, from the first one told on:
    what comes before it (torch warming up, the first check) says nothing of those after it.
    """

    marks: list[tuple[int, float]] = field(default_factory=list)
    checks: list[float] = field(default_factory=list)  # seconds; the first is of the untrained model
    _since: float | None = None  # when training began
    _last: float | None = None  # when something ended

    def training(self, time: float) -> None:
        """Training begins."""
        if self._since is None:
            self._since = self._last = time

    def step(self, step: int, time: float) -> None:
        """One was told."""
        worked = self.marks[-1][1] + time - (self._last or time) if self.marks else 0.0
        self.marks.append((step, worked))
        if len(self.marks) > MOST_MARKS:
            self.marks = [*self.marks[:-1:2], self.marks[-1]]
        self._last = time

    def check(self, time: float) -> None:
        """One ended."""
        if self._last is not None:
            self.checks.append(time - self._last)
        self._last = time

    def saved(self, time: float) -> None:
        """The model of the last check was written, which is part of what a check takes."""
        if self._last is not None and self.checks:
            self.checks[-1] += time - self._last
            self._last = time

    def worked(self, ended: float) -> float | None:
        """Seconds from the first check's end to the end of all; None where there was no check."""
        return ended - self._since - self.checks[0] if self.checks and self._since is not None else None

    @property
    def a_step(self) -> float | None:
        """Seconds, of the newer half: what is kept of a clip makes later steps quicker, other programs slower."""
        if len(self.marks) < 2 or self.marks[-1][0] - self.marks[0][0] < FEWEST_STEPS:
            return None
        newest, worked = self.marks[-1]
        before = [mark for mark in self.marks[:-1] if newest - mark[0] >= FEWEST_STEPS]
        middle = (newest + self.marks[0][0]) / 2
        step, until = next((mark for mark in before if mark[0] >= middle), before[-1])
        return (worked - until) / (newest - step)

    def remaining(self, now: float, max_steps: int, eval_steps: int) -> float | None:
        """Seconds left; None until it is known. `eval_steps` 0: not known, as in runs from before it was told."""
        each = self.a_step
        if each is None or self._last is None:
            return None
        step = self.marks[-1][0]
        checks = self.checks[1:] or self.checks
        check = sum(checks) / len(checks) if checks else 0.0
        # The last step has a check too, wherever it lies.
        due = max_steps // eval_steps - step // eval_steps + bool(max_steps % eval_steps) if eval_steps else 0
        made = len(self.checks) - 1
        if eval_steps and step % eval_steps == 0 and made < step // eval_steps:
            due += 1  # that of this step is being made
        end = self.checks[0] if self.checks else 0.0  # the first hears the test's clips too, as the end does
        return max(0.0, (max_steps - step) * each + due * check + end - (now - self._last))
