"""Every endpoint of a Space, called as nobody, as another visitor, with what a run's folder says of its owner, and as
the owner. The strangers know the names of the runs, and even the owner's session; no answer and no effect may cross.

An endpoint that is not in CASES fails the test: whoever adds one says here what its owner gets.
"""

import base64
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
from trainer.runs.process import identity_of
from trainer.runs.queue import draw_ticket, queue_lock
from trainer.runs.run import Run, create_run, new_run_folder
from trainer.settings import Settings
from trainer.speech.own_clips import OwnClips, own_clips
from trainer.training.recipe import preset_of
from trainer.ui.guard import NOT_THEIRS
from trainer.ui.recipe_form import form_of
from trainer.ui.visitors import valid_or_new

pytestmark = pytest.mark.timeout(240)

OWNER, ANOTHER = valid_or_new(""), valid_or_new("")
HASH = hashlib.sha256(OWNER.encode()).hexdigest()
STRANGERS = {"nobody": "", "another": ANOTHER, "the stored hash": HASH, "the word for nobody": "nobody", "none": None}
LETTER = "ж"  # what the owner's model hears in everything
PAGE = "ownersession"
WORDS = "canary words of a private recording"
RUN_ID = r"\d{8}-\d{6}-en-US-[0-9a-f]{6}"
QUICK = preset_of("quick").recipe
PCM = base64.b64encode(beep(0.5, 440)[44:]).decode()
SPOKEN = {"stream": "one", "number": 0, "rate": 16_000, "seen": 0, "pcm": PCM}


@dataclass(frozen=True)
class Scene:
    """The owner's two runs and the name of their own clip, and the connection with the owner's session."""

    client: RawClient
    finished: Run
    going: Run
    clip: str
    clips: OwnClips

    @property
    def secrets(self) -> list[str]:
        """What only the owner may ever be sent."""
        return [self.finished.id, self.going.id, self.clip, WORDS, HASH]


Data = Callable[[Scene], list[Any]]
VISIT: Data = lambda scene: [None, None, "quick", None, QUICK.base]  # noqa: E731  # the States are the server's own


@dataclass(frozen=True)
class Case:
    """How an endpoint is called, and what tells that the owner was served; "" where there is nothing to hide."""

    data: Data
    owner_gets: str = ""
    looks_at: str = "finished"
    effect: Callable[[Scene], bool] | None = None  # on the owner's runs, by the owner's call alone


def own_texts(scene: Scene) -> list[str]:
    return [clip.text for clip in scene.clips.clips()]


def _of_run(scene: Scene) -> str:
    return f"run:{scene.finished.id}"


def sent(scene: Scene) -> dict[str, Any]:
    """A sound, as whoever asks now has sent it."""
    return scene.client.upload("a.wav", beep(0.5, 440))


CASES = {
    "arrive": Case(lambda scene: [*VISIT(scene), "en-US"], RUN_ID),
    "glance": Case(VISIT),
    "poll": Case(VISIT),
    "poll_1": Case(VISIT),
    "poll_2": Case(VISIT),
    "choose": Case(lambda scene: [*VISIT(scene), scene.finished.id], "canary", looks_at="going"),
    "again": Case(lambda scene: [*VISIT(scene), *vars(form_of(QUICK)).values()], '"quick"'),
    "download": Case(VISIT, r"voicetune-\d+-.*\.zip"),
    "choices": Case(lambda scene: ["any", None, None], "Your newest model"),
    "talk": Case(lambda scene: [None], "Your newest model"),
    "about": Case(lambda scene: [_of_run(scene)]),
    "mark": Case(lambda scene: ["any"], "Your newest model"),
    "wake": Case(lambda scene: [_of_run(scene)]),
    "hear": Case(
        lambda scene: [_of_run(scene), sent(scene), "", True, "any"],
        LETTER,
    ),
    "hear_again": Case(lambda scene: [_of_run(scene), "", True, "any"], LETTER),
    "hear_with": Case(lambda scene: [_of_run(scene), "", True, "any"], LETTER),
    "hear_several": Case(lambda scene: [_of_run(scene), [sent(scene)], "", True, "any"], LETTER),
    "others": Case(lambda scene: ["any", None, None], "Your newest model"),
    "take_sentence": Case(lambda scene: [None]),
    "compare_read": Case(lambda scene: [None, _of_run(scene), "ready:en", WORDS, "", True, "any"]),
    "compare_now": Case(lambda scene: [_of_run(scene), "ready:en", "", "", True, "any"], "columns"),
    "caption": Case(lambda scene: [SPOKEN, _of_run(scene), "", True], '"state": ?"(waking|live)"'),
    "stop_hearing": Case(lambda scene: []),
    "forget": Case(lambda scene: []),
    "transcribe": Case(lambda scene: [sent(scene), _of_run(scene), "", "", True], LETTER),
    "compare": Case(lambda scene: [sent(scene), [_of_run(scene), "ready:en"], ""], LETTER),
    "models": Case(lambda scene: [""], "Your newest model"),
    "start": Case(lambda scene: [*VISIT(scene), *vars(form_of(QUICK)).values(), False]),
    "share": Case(lambda scene: [*VISIT(scene), "somebody/model", "private", "cc-by-4.0"]),
    "rent": Case(lambda scene: [*VISIT(scene), [], None, 30, *vars(form_of(QUICK)).values()]),
    "welcome": Case(lambda scene: []),
    "cost": Case(lambda scene: [[], None, 30, *vars(form_of(QUICK)).values()]),
    "stop": Case(VISIT, looks_at="going", effect=lambda scene: scene.going.stop_file.exists()),
    "resume": Case(VISIT, "training is finished"),
    "delete": Case(VISIT, effect=lambda scene: not scene.finished.folder.exists()),
    "poll_3": Case(VISIT),
    "offers": Case(lambda scene: [None, "en-US"]),
    "open_own_voice": Case(lambda scene: ["en-US"], WORDS),
    "keep_clip": Case(lambda scene: [scene.client.upload("b.wav", beep(0.5, 440)), "en-US", "…", ""]),
    "next_sentence": Case(lambda scene: ["en-US", ""]),
    "choose_clip": Case(lambda scene: ["en-US", scene.clip], WORDS),
    "save_clip": Case(lambda scene: ["en-US", scene.clip, WORDS.upper()], "Saved"),
    "delete_clip": Case(lambda scene: ["en-US", scene.clip], effect=lambda scene: not own_texts(scene)),
    "download_clips": Case(lambda scene: ["en-US"], r"voicetune-clips-en-US\.zip"),
    "look_over": Case(lambda scene: ["en-US", None], WORDS),
    "language_of_model": Case(lambda scene: [_of_run(scene), "any", "de-DE"], "en-US"),
    "add_correction": Case(lambda scene: [WORDS, "en-US"]),  # no page has a last recording here
    "show_correction": Case(lambda scene: ["other words"]),
    "look_at_own": Case(lambda scene: ["en-US", "own-clips"], WORDS),
    # What follows knows no visitor.
    "describe": Case(lambda scene: [*vars(form_of(QUICK)).values(), None]),
    "look_up": Case(lambda scene: [*vars(form_of(QUICK)).values(), None]),
    "fill_1": Case(lambda scene: [*vars(form_of(QUICK)).values()]),
    "take": Case(lambda scene: [*vars(form_of(QUICK)).values(), None]),
    "search": Case(lambda scene: ["wav2vec2"]),
    "search_1": Case(lambda scene: ["wav2vec2"]),
    "lambda": Case(lambda scene: ["practice"]),
    "look": Case(lambda scene: ["en-US", "practice", ""]),
    "own_folder": Case(lambda scene: ["practice"]),
    "fill": Case(lambda scene: [*vars(form_of(QUICK)).values()]),
    "ask_hub": Case(lambda scene: [None]),
    "ask_hub_1": Case(lambda scene: [None]),
    "ask": Case(lambda scene: []),
    "close": Case(lambda scene: []),
    "_ask": Case(lambda scene: []),
    "_close": Case(lambda scene: []),
}
HEARING = ("hear", "hear_several", "transcribe", "compare")
LAST = ("forget", "stop", "delete", "delete_clip")  # as the owner: they change what the others look at


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
    clips = own_clips(Settings(data_dir=space.data), HASH, "en-US")
    clip = clips.add(beep(2.0, 440), WORDS).name
    client = RawClient(space.url, PAGE, OWNER)
    with subprocess.Popen(["sleep", "600"]) as sleeper:
        identity = identity_of(psutil.Process(sleeper.pid))
        with queue_lock(space.data / "queue"):
            draw_ticket(space.data / "queue", going, identity)
        log = EventLog(going.events)
        log.append("started", max_steps=9, **identity)
        log.close()
        yield Scene(client, finished, going, clip, clips)
        sleeper.kill()
    client.close()


def snapshot(folder: Path) -> dict[str, int]:
    """All files with their sizes: what a stranger's call must leave as it is."""
    return {
        str(path): path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != "queue.lock"
    }


def call(scene: Scene, name: str, endpoint: dict[str, Any], secret: str | None) -> str:
    """From a page of this visitor's, which looks at the owner's run where it may."""
    run = scene.going if CASES[name].looks_at == "going" else scene.finished
    scene.client.be(secret, PAGE if secret == OWNER else f"page-{hashlib.sha256(str(secret).encode()).hexdigest()[:8]}")
    scene.client.call(scene.client.endpoints()["choose"], [*VISIT(scene), run.id])
    return scene.client.call(endpoint, CASES[name].data(scene))


def test_every_endpoint_is_in_the_table(scene: Scene) -> None:
    assert set(scene.client.endpoints()) == set(CASES)


def test_no_stranger_is_told_anything_or_changes_anything(scene: Scene, space: App) -> None:
    crossings = []
    before = snapshot(space.data)
    for name, endpoint in scene.client.endpoints().items():
        for role, secret in STRANGERS.items():
            said = call(scene, name, endpoint, secret)
            # What a stranger sends may come back to them: the run's id is in the choice that they typed.
            sent = json.dumps(CASES[name].data(scene), default=str) if name not in HEARING else _of_run(scene)
            told = [word for word in scene.secrets if word in said and word not in sent]
            gets = CASES[name].owner_gets
            if told or (gets and re.search(gets, said)):
                crossings.append((name, role, told, said[:300]))
            if snapshot(space.data) != before:
                crossings.append((name, role, ["changed the runs"], said[:300]))
                before = snapshot(space.data)
    assert crossings == []


def test_no_stranger_uses_the_owners_page(scene: Scene, space: App) -> None:
    """Which looks at the owner's run."""
    scene.client.be(OWNER, PAGE)
    assert scene.finished.id in scene.client.call(scene.client.endpoints()["arrive"], CASES["arrive"].data(scene))
    assert WORDS in scene.client.call(scene.client.endpoints()["choose"], [*VISIT(scene), scene.finished.id])
    before = snapshot(space.data)
    for secret in STRANGERS.values():
        scene.client.be(secret, PAGE)
        for name, endpoint in scene.client.endpoints().items():
            said = scene.client.call(endpoint, CASES[name].data(scene))
            assert NOT_THEIRS in said and not any(word in said for word in scene.secrets), (name, said[:300])
        for path in (f"queue/data?session_hash={PAGE}", f"heartbeat/{PAGE}"):
            assert scene.client.get(f"gradio_api/{path}").status_code == 403
    assert snapshot(space.data) == before


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
        space.data / "queue" / "queue.lock",
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
    scene.client.be(ANOTHER, "anotherpage")
    data = ["ready:en", {"path": str(file), "meta": {"_type": "gradio.FileData"}}, "", True, "any"]
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
