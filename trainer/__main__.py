"""python -m trainer COMMAND: all that the app can do, without a browser."""

import contextlib
import importlib
import logging
import os
import sys
from typing import NoReturn

from trainer.commands.console import Parser, explain, write_utf8

# name: what it does. Each is a module in trainer/commands, imported only when it is called.
COMMANDS = {
    "finetune": "teach a model a language",
    "evaluate": "measure a model's word and character error rates",
    "transcribe": "write down what is said in audio files",
    "export": "write a model as an ONNX file, for use without Transformers",
    "publish": "share a trained model on the Hugging Face Hub",
    "runs": "list, show, stop, resume or delete trainings",
    "doctor": "say what this machine has, and what would be chosen",
}
EXIT_FAILED, EXIT_STOPPED = 1, 130  # 130: as a shell reports Ctrl-C


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code. What went wrong is said on stderr."""
    write_utf8()
    try:
        return _run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        return EXIT_STOPPED
    except BrokenPipeError:  # whoever read it has heard enough
        return EXIT_FAILED
    except Exception as error:
        print(explain(error), file=sys.stderr)
        return EXIT_FAILED


def _run(arguments: list[str]) -> int:
    parser = Parser(prog="python -m trainer", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name in arguments[:1]:
            importlib.import_module(f"trainer.commands.{name}").add_arguments(command)
    options = parser.parse_args(arguments)
    return int(importlib.import_module(f"trainer.commands.{options.command}").run(options))


def _leave(code: int) -> NoReturn:
    """At once: all is written, and on a busy machine Python takes nine seconds to take torch apart."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BrokenPipeError):  # whoever read it has heard enough
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    _leave(main())
