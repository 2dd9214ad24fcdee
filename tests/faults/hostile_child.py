"""Opens models in both roles and tells what came of it, with everything watched that an attack would have to do.

Reads a JSON list of {"role", "model"} from standard input, where a model is a Hub id or a folder, and prints a line of
JSON for each answer. `VOICETUNE_TEST_SECRETS` are paths that nobody may open.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from trainer.models.base_ref import BaseRef, parse_base
from trainer.settings import Settings

SECRETS = os.environ["VOICETUNE_TEST_SECRETS"].split(os.pathsep)
PORT = int(os.environ["HF_ENDPOINT"].rpartition(":")[2])
# What runs other programs, and what a pickle does to find the function that it calls.
RUNS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen", "pickle.find_class")
seen: list[str] = []


def watch(event: str, values: tuple[Any, ...]) -> None:
    """Notes what nobody may do; an audit hook sees it wherever it is done from."""
    if event == "open" and str(values[0]) in SECRETS:
        seen.append(f"opened {values[0]}")
    elif event in RUNS:
        seen.append(event)
    elif event == "import" and "evil" in str(values[:2]):
        seen.append(f"imported {values[0]}")
    elif event == "socket.connect" and isinstance(values[1], tuple) and values[1][1] != PORT:
        seen.append(f"connected to {values[1]}")


def listen(model: str) -> None:
    from trainer.models.recognizer import open_recognizer
    from trainer.models.resolve import find_model

    open_recognizer(find_model(parsed(model), Settings.from_env(), whole=True))


def train(model: str) -> None:
    """What `training.finetune` does with a base, in its order."""
    from trainer.models.ctc_model import open_base
    from trainer.models.resolve import find_model
    from trainer.models.vocabulary import Vocabulary
    from trainer.training.finetune import _own_vocabulary

    files = find_model(parsed(model), Settings.from_env())
    _own_vocabulary(files, lambda kind, /, **fields: None)
    open_base(files, Vocabulary({"[PAD]": 0, "[UNK]": 1, "|": 2, "x": 3}), {}, keep_head=False)


def parsed(model: str) -> BaseRef:
    return parse_base(model, on_space=False)


def trap(model: str) -> None:
    """Walks into every trap, so that a test can see that they close."""
    import pickle
    import socket

    secret = Path(SECRETS[0])
    print(secret.read_text(), file=sys.stderr)
    pickle.loads((Path(model) / "pytorch_model.bin").read_bytes())
    with socket.socket() as unwanted:
        unwanted.connect_ex(("127.0.0.1", 9))
    raise RuntimeError(str(secret))


ROLES = {"listen": listen, "train": train, "trap": trap}


def answer(role: str, model: str) -> dict[str, Any]:
    from trainer.errors import UserError

    seen.clear()
    started = time.perf_counter()
    said: dict[str, Any] = {"kind": "opened", "text": ""}
    try:
        ROLES[role](model)
    except UserError as error:
        said = {"kind": "refused", "text": f"{error.what}\n{error.todo}"}
    except BaseException as error:
        said = {"kind": type(error).__name__, "text": str(error)}
    return {"role": role, "model": model, **said, "seconds": time.perf_counter() - started, "seen": list(seen)}


def main() -> None:
    from trainer.models.build import check_builds
    from trainer.models.model_config import ModelConfig

    config = ModelConfig(json.loads(os.environ["VOICETUNE_TEST_CONFIG"]))
    check_builds(config, Settings.max_load_bytes)
    sys.addaudithook(watch)
    for case in json.load(sys.stdin):
        print(json.dumps(answer(case["role"], case["model"])), flush=True)


if __name__ == "__main__":
    main()
