"""python -m trainer COMMAND: all that the app can do, without a browser."""

import argparse
import importlib
import sys

from trainer.errors import UserError

# name: what it does. Each is a module in trainer/commands, imported only when it is called.
COMMANDS = {
    "finetune": "teach a model a language",
    "evaluate": "measure a model's word and character error rates",
    "transcribe": "write down what is said in audio files",
    "publish": "share a trained model on the Hugging Face Hub",
    "runs": "list, show, stop or delete trainings",
    "doctor": "say what this machine has, and what would be chosen",
}

EXIT_FAILED, EXIT_STOPPED = 1, 130  # 130: as a shell reports Ctrl-C


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m trainer", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name in arguments[:1]:
            importlib.import_module(f"trainer.commands.{name}").add_arguments(command)
    options = parser.parse_args(arguments)
    try:
        return int(importlib.import_module(f"trainer.commands.{options.command}").run(options))
    except UserError as error:
        print(error, file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_STOPPED


if __name__ == "__main__":
    sys.exit(main())
