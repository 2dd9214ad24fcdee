"""Whatever a repo holds, the answer is a sentence: nothing of it runs, nothing of the host is read, sent or told."""

import getpass
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.hostile_folders import HostileFolder, hostile_folders
from tests.fakes.hostile_repos import hostile_repos
from tests.fakes.hostile_rows import BOTH, sound_files
from tests.fakes.hub import FakeHub, Seen

ROOT = Path(__file__).resolve().parents[2]
TOKENS = ("hf_canary_in_the_environment", "hf_canary_on_the_disk", "hf_canary_of_netrc")
SLOWEST = 3.0  # seconds that an answer may take; asserted with room, as other programs may run here
ROOM = 4
SECONDS_FOR_ALL = 500  # some 370 answers in one process; alone on two cores they take one

pytestmark = pytest.mark.timeout(SECONDS_FOR_ALL + 100)  # the whole corpus is asked by the first test


@dataclass(frozen=True)
class Host:
    """A home with secrets, and what an attack would write."""

    home: Path

    @property
    def secret(self) -> Path:
        return self.home / "secret"

    @property
    def planted(self) -> Path:
        return self.home / "planted"

    def set_up(self) -> "Host":
        self.home.mkdir()
        self.secret.write_text("canary of the host")
        (self.home / "token").write_text(TOKENS[1])
        (self.home / ".netrc").write_text(f"machine 127.0.0.1 login canary password {TOKENS[2]}")
        (self.home / "stored_tokens").write_text(f"[canary]\nhf_token = {TOKENS[1]}")
        return self

    def environment(self, hub: FakeHub) -> dict[str, str]:
        secrets = [self.secret, *(self.home / name for name in ("token", ".netrc", "stored_tokens"))]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "VOICETUNE_"))}
        return kept | {
            "HOME": str(self.home),
            "HF_HOME": str(self.home),
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": TOKENS[0],
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NETRC": str(self.home / ".netrc"),
            "VOICETUNE_DATA": str(self.home / "data"),
            "VOICETUNE_TEST_SECRETS": os.pathsep.join(map(str, secrets)),
            "VOICETUNE_TEST_CONFIG": sound_files()["config.json"].decode(),
        }

    def ask(self, hub: FakeHub, cases: list[tuple[str, str]]) -> list[dict[str, Any]]:
        """Open all of them in one process, as the app does, and give its answers."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.hostile_child"],
            cwd=ROOT,
            env=self.environment(hub),
            input=json.dumps([{"role": role, "model": model} for role, model in cases]),
            capture_output=True,
            text=True,
            timeout=SECONDS_FOR_ALL,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answers) == len(cases)
        return answers


@dataclass(frozen=True)
class Outcome:
    """What came of the whole corpus."""

    host: Host
    answers: dict[tuple[str, str], dict[str, Any]]  # by role and model
    requests: list[Seen]


REPOS = hostile_repos(Path("planted"), Path("secret"))  # for their names: the test's own are built with its paths
FOLDERS = hostile_folders()


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    host = Host(tmp_path_factory.mktemp("hostile") / "home").set_up()
    with FakeHub() as hub:
        cases = []
        for repo in hostile_repos(host.planted, host.secret):
            if repo.files is not None:
                hub.add_model(f"evil/{repo.name}", repo.files, gated=repo.gated)
                hub.repos["models", f"evil/{repo.name}"].told = repo.told
            cases += [(role, f"evil/{repo.name}") for role in repo.roles]
        hub.add_dataset("evil/a-dataset", sound_files())
        cases += [(role, "evil/a-dataset") for role in BOTH]
        cases += _folders(host)
        answers = {(each["role"], each["model"]): each for each in host.ask(hub, cases)}
        yield Outcome(host, answers, list(hub.requests))


def _folders(host: Host) -> list[tuple[str, str]]:
    sound, cases = sound_files(), []
    for folder in FOLDERS:
        place = _place(host, folder)
        place.parent.mkdir(parents=True)
        folder.build(place, sound, host.secret)
        cases += [(role, str(place)) for role in BOTH]
    return cases


def _place(host: Host, folder: HostileFolder) -> Path:
    return host.home / "folders" / folder.name / "model"


@pytest.mark.parametrize("name", [repo.name for repo in REPOS])
def test_a_repo_is_refused_in_a_sentence_or_opens_unharmed(outcome: Outcome, name: str) -> None:
    repo = next(repo for repo in REPOS if repo.name == name)
    for role in repo.roles:
        _judge(outcome, outcome.answers[role, f"evil/{name}"], repo.sentence)


def test_a_data_set_is_no_model(outcome: Outcome) -> None:
    for role in BOTH:
        _judge(outcome, outcome.answers[role, "evil/a-dataset"], "There is no model called")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_folder_is_refused_in_a_sentence(outcome: Outcome, folder: HostileFolder) -> None:
    for role in BOTH:
        _judge(outcome, outcome.answers[role, str(_place(outcome.host, folder))], folder.sentence)


def _judge(outcome: Outcome, answer: dict[str, Any], sentence: str | None) -> None:
    assert answer["seen"] == []
    assert answer["kind"] == ("opened" if sentence is None else "refused"), answer["text"]
    assert answer["seconds"] < SLOWEST * ROOM
    if sentence is None:
        return
    what, todo = answer["text"].split("\n")
    assert re.search(sentence, what), what
    for each in (what, todo):
        assert each.endswith(".") and len(each) < 300
    host = [str(outcome.host.home), str(ROOT), "canary", "hf_", "127.0.0.1", "Traceback", "Error", "site-packages"]
    assert not [word for word in host if word in answer["text"]]
    assert not re.search(rf"\b{re.escape(getpass.getuser())}\b", answer["text"])


def test_nothing_was_planted_sent_or_fetched_that_should_not_be(outcome: Outcome) -> None:
    assert not list(outcome.host.home.rglob("planted"))
    assert len(outcome.requests) > 200
    assert {seen.authorization for seen in outcome.requests} == {None}
    fetched = {seen.path.rpartition("/")[2] for seen in outcome.requests if "/resolve/" in seen.path}
    assert not [name for name in fetched if not name.endswith((".json", ".safetensors"))]
    assert not [name for name in fetched if "evil" in name or name in {"alphabet.json", "adapter_config.json"}]


def test_no_weights_of_a_refused_repo_were_fetched(outcome: Outcome) -> None:
    """Their headers say enough. Only a repo that will do as a base and not to listen with is fetched for both."""
    opened = {f"/evil/{repo.name}/" for repo in REPOS if repo.sentence is None or repo.roles != BOTH}
    downloads = [seen.path for seen in outcome.requests if seen.method == "HEAD" and ".safetensors" in seen.path]
    whole = [path for path in downloads if not path.endswith(".index.json")]
    assert len(whole) > len([repo for repo in REPOS if repo.sentence is None]) / 2
    assert not [path for path in whole if not any(path.startswith(repo) for repo in opened)]


def test_the_figures(outcome: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    answers = list(outcome.answers.values())
    refused = [answer for answer in answers if answer["kind"] == "refused"]
    slowest = max(answers, key=lambda answer: answer["seconds"])
    with capsys.disabled():
        print(
            f"\n{len({answer['model'] for answer in answers})} repos and folders, {len(refused)} refusals, "
            f"the slowest answer {slowest['seconds']:.2f} s ({slowest['model'].rpartition('/')[2]})"
        )
    assert len({answer["model"] for answer in refused}) >= 40


def test_the_traps_close(tmp_path: Path) -> None:
    """Else the tests above would pass with nobody watching."""
    host = Host(tmp_path / "home").set_up()
    folder = next(folder for folder in FOLDERS if folder.name == "pickle")
    place = _place(host, folder)
    place.parent.mkdir(parents=True)
    folder.build(place, sound_files(), host.secret)
    with FakeHub() as hub:
        (answer,) = host.ask(hub, [("trap", str(place))])
    assert answer["kind"] == "RuntimeError" and str(host.home) in answer["text"]
    for trap in (f"opened {host.secret}", "os.system", "pickle.find_class", "connected to"):
        assert [note for note in answer["seen"] if note.startswith(trap)], trap
    assert host.planted.exists()
