"""What a terminal is told: whole sentences, in letters that it can show, and never a traceback."""

import argparse
import io
import logging
import secrets
import sys
import tempfile
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import NoReturn

from trainer.errors import UserError, refusal_of
from trainer.settings import Settings

LOG, MOST_LOG_BYTES = "voicetune.log", 2**20  # of the newest log; one older one is kept
MOST_SAID = 300  # letters of what somebody typed


class Parser(argparse.ArgumentParser):
    """One that refuses in two sentences, instead of listing all options first."""

    def error(self, message: str) -> NoReturn:
        """Exit code 2."""
        said = " ".join(message.removeprefix("argument ").split())
        said = said if len(said) <= MOST_SAID else f"{said[:MOST_SAID]}…"
        self.exit(2, f"I cannot do that: {said.rstrip('.')}. What can be asked for says: {self.prog} --help\n")


def whole_number(typed: str) -> int:
    """For argparse, which shows its refusal."""
    try:
        return int(typed)
    except ValueError:
        raise argparse.ArgumentTypeError(f"“{typed[:40]}” is not a whole number") from None


def decimal_number(typed: str) -> float:
    """For argparse, which shows its refusal."""
    try:
        return float(typed)
    except ValueError:
        raise argparse.ArgumentTypeError(f"“{typed[:40]}” is not a number") from None


def write_utf8() -> None:
    """A pipe or a file gets UTF-8 whatever the system's language is; a terminal what it can show, "?" for the rest."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=stream.encoding if stream.isatty() else "utf-8", errors="replace")


def explain(error: Exception) -> str:
    """What to say of an error. One that says nothing to a person goes to the log, under a number that is said."""
    if isinstance(error, UserError):
        return str(error).strip()
    if known := refusal_of(error):
        file = getattr(error, "filename", None)  # it is the person's own computer
        return f"{known} ({Path(str(file))})" if file else str(known)
    number = secrets.token_hex(3)
    return f"Something went wrong on my side (number {number}). The log says more of it: {_noted(error, number)}"


def _noted(error: Exception, number: str) -> Path:
    """Write the whole of it down; returns the log."""
    info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("voicetune", logging.ERROR, "", 0, "Unexpected error %s", (number,), info)
    for folder in _places():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handler = RotatingFileHandler(folder / LOG, maxBytes=MOST_LOG_BYTES, backupCount=1, encoding="utf-8")
        except OSError:  # the data folder may be the very trouble
            continue
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
        handler.emit(record)
        handler.close()
        return folder / LOG
    raise error


def _places() -> list[Path]:
    spare = Path(tempfile.gettempdir())
    try:
        return [Settings.from_env().data_dir, spare]
    except UserError:
        return [spare]
