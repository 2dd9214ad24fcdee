"""Every endpoint of a Space, called as nobody, as another visitor, with what a run's folder says of its owner, and as
the owner. The strangers even know the owner's session and the names of the runs; no answer and no effect may cross.

An endpoint that is not in CASES fails the test: whoever adds one says here what its owner gets.
"""

import hashlib
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.app.raw_client import RawClient
from tests.app.serving import PROJECT, App, start_app
from tests.fakes.models import save_answering
from tests.fakes.run_folder import beep, write_run
from trainer.runs.events import EventLog
from trainer.runs.identity import identity_of
from trainer.runs.run import Run, create_run, new_run_folder
from trainer.runs.turns import door, draw
from trainer.training.presets import preset_of
from trainer.ui.form import form_of
from trainer.ui.visitors import valid_or_new

pytestmark = pytest.mark.timeout(240)

OWNER, ANOTHER = valid_or_new(""), valid_or_new("")
HASH = hashlib.sha256(OWNER.encode()).hexdigest()
STRANGERS = {"nobody": "", "another": ANOTHER, "the stored hash": HASH, "the word for nobody": "nobody", "none": None}
LETTER = "ж"  # what the owner's model hears in everything
WORDS = "canary words of a private recording"
RUN_ID = r"\d{8}-\d{6}-en-US-[0-9a-f]{6}"
QUICK = preset_of("quick").recipe


@dataclass(frozen=True)
class Scene:
    """The owner's two runs, and the connection with the owner's session."""

    client: RawClient
    finished: Run
    going: Run

    @property
    def secrets(self) -> list[str]:
        """What only the owner may ever be sent."""
        return [self.finished.id, self.going.id, WORDS, HASH]


Data = Callable[[Scene, Any], list[Any]]
VISIT: Data = lambda scene, secret: [secret, None, "quick", None, QUICK.base]  # noqa: E731  # the State is the server's own


@dataclass(frozen=True)
class Case:
    """How an endpoint is called, and what tells that the owner was served; "" where there is nothing to hide."""

    data: Data
    owner_gets: str = ""
    looks_at: str = "finished"
    effect: Callable[[Scene], bool] | None = None  # on the owner's runs, by the owner's call alone


def _of_run(scene: Scene) -> str:
    return f"run:{scene.finished.id}"


CASES = {
    "arrive": Case(VISIT, RUN_ID),
    "glance": Case(VISIT),
    "poll": Case(VISIT),
    "poll_1": Case(VISIT),
    "poll_2": Case(VISIT),
    "choose": Case(lambda scene, secret: [*VISIT(scene, secret), scene.finished.id], "canary", looks_at="going"),
    "again": Case(VISIT, '"quick"'),
    "download": Case(VISIT, r"voicetune-\d+-.*\.zip"),
    "choices": Case(lambda scene, secret: [secret, "any", None, None], "Your newest model"),
    "talk": Case(lambda scene, secret: [secret, None], "Your newest model"),
    "about": Case(lambda scene, secret: [secret, _of_run(scene)]),
    "about_1": Case(lambda scene, secret: [secret, _of_run(scene)]),
    "wake": Case(lambda scene, secret: [secret, _of_run(scene)]),
    "hear": Case(
        lambda scene, secret: [secret, _of_run(scene), scene.client.upload("a.wav", beep(0.5, 440))],
        LETTER,
    ),
    "start": Case(lambda scene, secret: [*VISIT(scene, secret), *vars(form_of(QUICK)).values(), False]),
    "share": Case(lambda scene, secret: [*VISIT(scene, secret), "somebody/model", "private", "cc-by-4.0"]),
    "rent": Case(lambda scene, secret: [*VISIT(scene, secret), [], None, 30, *vars(form_of(QUICK)).values()]),
    "welcome": Case(lambda scene, secret: [secret]),
    "cost": Case(lambda scene, secret: [[], None, 30, *vars(form_of(QUICK)).values()]),
    "stop": Case(VISIT, looks_at="going", effect=lambda scene: scene.going.stop_file.exists()),
    "resume": Case(VISIT, "training is finished"),
    "delete": Case(VISIT, effect=lambda scene: not scene.finished.folder.exists()),
    "poll_3": Case(VISIT),
    "offers": Case(lambda scene, secret: [secret, None, "en-US"]),
    # What follows knows no visitor.
    "describe": Case(lambda scene, secret: [*vars(form_of(QUICK)).values(), None]),
    "look_up": Case(lambda scene, secret: [*vars(form_of(QUICK)).values(), None]),
    "fill_1": Case(lambda scene, secret: [*vars(form_of(QUICK)).values()]),
    "take": Case(lambda scene, secret: [*vars(form_of(QUICK)).values(), None]),
    "search": Case(lambda scene, secret: ["wav2vec2"]),
    "search_1": Case(lambda scene, secret: ["wav2vec2"]),
    "lambda": Case(lambda scene, secret: ["practice"]),
    "look": Case(lambda scene, secret: ["en-US", "practice", ""]),
    "own_folder": Case(lambda scene, secret: ["practice"]),
    "fill": Case(lambda scene, secret: ["quick", "en-US", "auto", ""]),
    "ask_hub": Case(lambda scene, secret: [None]),
    "ask_hub_1": Case(lambda scene, secret: [None]),
    "ask": Case(lambda scene, secret: []),
    "close": Case(lambda scene, secret: []),
}
LAST = ("stop", "delete")  # as the owner: they change what the others look at


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The app as a Space runs it, with a line that is full."""
    folder = tmp_path_factory.mktemp("space")
    app = start_app(folder, SPACE_ID="someone/voicetune", VOICETUNE_MAX_WAITING="0", HF_ENDPOINT="http://127.0.0.1:9")
    yield app
    app.stop()


@pytest.fixture(scope="module")
def scene(space: App) -> Iterator[Scene]:
    """A finished run with a model, and one that trains; its trainer is only asleep."""
    finished = write_run(space.data)
    save_answering(finished.model, LETTER)
    config = finished.folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "owner": HASH}))
    log = EventLog(finished.events)
    guess = {"clip": 0, "reference": WORDS, "hypothesis": WORDS}
    log.append("evaluated", step=300, loss=0.1, wer=0.1, cer=0.1, guesses=[guess])
    log.append("finished")
    log.close()
    going = create_run(new_run_folder(space.data / "runs", "en-US"), QUICK, HASH)
    client = RawClient(space.url, "ownersession")
    with subprocess.Popen(["sleep", "600"]) as sleeper:
        identity = identity_of(psutil.Process(sleeper.pid))
        with door(space.data / "turns"):
            draw(space.data / "turns", going, identity)
        log = EventLog(going.events)
        log.append("started", max_steps=9, **identity)
        log.close()
        yield Scene(client, finished, going)
        sleeper.kill()
    client.close()


def snapshot(folder: Path) -> dict[str, int]:
    """All files with their sizes: what a stranger's call must leave as it is."""
    return {str(path): path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != "door"}


def call(scene: Scene, name: str, endpoint: dict[str, Any], secret: object) -> str:
    """With the owner's session, which looks at the owner's run."""
    run = scene.going if CASES[name].looks_at == "going" else scene.finished
    scene.client.call(scene.client.endpoints()["choose"], [*VISIT(scene, OWNER), run.id])
    return scene.client.call(endpoint, CASES[name].data(scene, secret))


def test_every_endpoint_is_in_the_table(scene: Scene) -> None:
    assert set(scene.client.endpoints()) == set(CASES)


def test_no_stranger_is_told_anything_or_changes_anything(scene: Scene, space: App) -> None:
    crossings = []
    before = snapshot(space.data)
    for name, endpoint in scene.client.endpoints().items():
        for role, secret in STRANGERS.items():
            said = call(scene, name, endpoint, secret)
            # What a stranger sends may come back to them: the run's id is in the choice that they typed.
            sent = json.dumps(CASES[name].data(scene, secret), default=str) if name != "hear" else _of_run(scene)
            told = [word for word in scene.secrets if word in said and word not in sent]
            gets = CASES[name].owner_gets
            if told or (gets and re.search(gets, said)):
                crossings.append((name, role, told, said[:300]))
            if snapshot(space.data) != before:
                crossings.append((name, role, ["changed the runs"], said[:300]))
                before = snapshot(space.data)
    assert crossings == []


def test_a_full_line_tells_no_more_than_its_length(scene: Scene) -> None:
    said = call(scene, "start", scene.client.endpoints()["start"], ANOTHER)
    assert "waiting in line already" in said
    assert not any(secret in said for secret in scene.secrets)


def test_the_owner_is_served(scene: Scene) -> None:
    endpoints = scene.client.endpoints()
    for name in (*(name for name in endpoints if name not in LAST), *LAST):
        case = CASES[name]
        if case.effect:
            assert not case.effect(scene), name
        said = call(scene, name, endpoints[name], OWNER)
        assert re.search(case.owner_gets, said), (name, said[:500])
        assert case.effect is None or case.effect(scene), (name, said[:500])


def test_files_of_the_host_have_no_address(scene: Scene, space: App) -> None:
    run = scene.going
    files = [
        run.folder / "config.json",
        run.events,
        space.data / "turns" / "door",
        PROJECT / "app.py",
        Path("/etc/passwd"),
    ]
    assert all(file.exists() for file in files)
    for file in files:
        relative = f"{space.data.parent / 'tmp'}/../{file.relative_to(file.anchor)}"
        for address in (
            f"file={file}",
            f"file/{file}",
            f"file=/./{file}",
            f"file={relative}",
            f"file=..%2f..%2f{file}",
        ):
            answer = scene.client.get(f"gradio_api/{address}")
            assert answer.status_code in (400, 403, 404, 405), (address, answer.status_code)
    assert scene.client.get("gradio_api/file=" + str(space.data.parent / "tmp")).status_code in (403, 404)


def test_a_file_of_the_host_is_neither_heard_nor_deleted(scene: Scene) -> None:
    file = scene.going.folder / "config.json"
    data = [ANOTHER, "ready:en-US", {"path": str(file), "meta": {"_type": "gradio.FileData"}}]
    said = scene.client.call(scene.client.endpoints()["hear"], data)
    assert HASH not in said and file.exists()


@pytest.mark.parametrize(
    "address", ["vibe-code", "run-history/buckets", "run-history/records", "profiling/traces", "runs"]
)
def test_what_gradio_brings_along_is_shut(scene: Scene, address: str) -> None:
    for answer in (scene.client.get(f"gradio_api/{address}"), scene.client.post(f"gradio_api/{address}")):
        assert not any(secret in answer.text for secret in scene.secrets)
        assert "def main" not in answer.text


def test_nothing_that_was_heard_is_in_the_log(scene: Scene, space: App) -> None:
    log = space.log.read_text()
    assert LETTER not in log and WORDS not in log and not any(secret in log for secret in (OWNER, ANOTHER, HASH))
