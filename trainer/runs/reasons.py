"""Why a run was asked to stop, where it was not the person who asked: what its end then says."""

from trainer.runs.run import Run
from trainer.settings import Settings

TIME, SHUTDOWN = "time", "shutdown"


def end_fields(run: Run, settings: Settings) -> dict[str, str]:
    """The fields `what` and `todo` of a `stopped` event; {} where the person asked."""
    reason = run.stop_reason
    if reason == TIME:
        return {
            "what": f"It was stopped after {settings.limits.minutes_a_run:g} minutes, the most that one training may "
            "take here.",
            "todo": "",
        }
    if reason == SHUTDOWN:
        return {"what": "It was stopped because Voicetune was shut down.", "todo": ""}
    return {}
