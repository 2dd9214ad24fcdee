"""Processes by pid and start time: a pid alone is soon used again by another program."""

import psutil

Identity = dict[str, float]  # pid, and pid_started in seconds since the epoch


def own_identity() -> Identity:
    """This process as events, tickets and keepers name it."""
    return identity_of(psutil.Process())


def identity_of(process: psutil.Process) -> Identity:
    """Any process. Raises psutil.NoSuchProcess where it is gone."""
    return {"pid": process.pid, "pid_started": process.create_time()}


def alive(pid: float | None, started: float | None) -> bool:
    """Whether that very process still runs."""
    if pid is None or started is None:
        return False
    try:
        process = psutil.Process(int(pid))
        return abs(process.create_time() - started) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def identity_in(found: object) -> Identity | None:
    """An identity read from JSON; None for anything else."""
    if not isinstance(found, dict):
        return None
    pid, started = found.get("pid"), found.get("pid_started")
    if isinstance(pid, int) and pid > 0 and isinstance(started, int | float):
        return {"pid": pid, "pid_started": float(started)}
    return None
