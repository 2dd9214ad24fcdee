"""Sharing that is cut short, refused or misled: what a person reads, and that nothing is lost, doubled or leaked."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import close_session

from tests.fakes.hub_writes import Cut, WritableHub
from tests.fakes.sharable import PICTURE, Publisher, kill, sharable_run
from trainer.errors import UserError
from trainer.hub import connectivity
from trainer.publishing import publish as module
from trainer.publishing.options import PublishOptions
from trainer.publishing.publish import Hub, Receipt, Token, publish, receipt_of
from trainer.runs.run import Run

ANNA, HOST = "hf_canary_of_anna", "hf_canary_of_the_host"

# The requests of a first publication, in order: is the Hub there, who signs, make, check the card, which files are
# large, where to put them, the large one, commit, look.
REQUESTS = 9
LARGE, COMMIT = 7, 8
# Each request but the first, before it was done and after; and four times inside the weights.
CUTS = [
    *[(at, done, None) for at in range(2, REQUESTS + 1) for done in (False, True)],
    *[(LARGE, False, share) for share in (0.05, 0.4, 0.7, 0.95)],
]


@pytest.fixture
def hub() -> Iterator[WritableHub]:
    with WritableHub() as hub:
        hub.let_in(ANNA, "anna")
        yield hub


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The client tries again at once, sends large files over HTTP, and finds a token of the host that is not to be
    used: in the environment, and where `hf auth login` puts it."""
    monkeypatch.setattr("huggingface_hub.utils._http.time", SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    (tmp_path / "token").write_text(HOST)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("HF_TOKEN", HOST)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    connectivity._probes.clear()
    monkeypatch.setattr(module, "WAITS", (0.0,) * len(module.WAITS))
    yield
    close_session()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return sharable_run(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def publisher() -> Publisher:
    return Publisher()


def share(run: Run, hub: WritableHub, name: str = "model", token: Token | None = ANNA, **options: object) -> Receipt:
    return publish(run, PublishOptions(name, **options), token, PICTURE, Hub(hub.url))  # type: ignore[arg-type]


def assert_whole(hub: WritableHub, repo_id: str, run: Run, receipt: Receipt) -> None:
    """What the Hub holds is what was sent, byte for byte, and nothing else."""
    files = hub.files(repo_id)
    files.pop(".gitattributes")
    assert {name: len(data) for name, data in files.items()} == receipt.files
    for name in ("model.safetensors", "config.json", "vocab.json"):
        assert files[name] == (run.model / name).read_bytes()
    assert not {"training_args.bin", "voicetune.json"} & set(files)


def test_killed_at_twenty_points_it_is_finished_by_sharing_again(
    hub: WritableHub, run: Run, publisher: Publisher
) -> None:
    assert len(CUTS) == 20
    for number, (at, done, body) in enumerate(CUTS):
        name = f"killed-{number}"
        hub.objects.clear()
        hub.uploads.clear()
        hub.calls.clear()
        hub.cut = cut = Cut(at, done, body, held=True)
        process = publisher.start(run, name, ANNA, hub.url)
        assert cut.reached.wait(30), (at, done, body)
        kill(process)
        hub.cut = None
        assert_whole(hub, f"anna/{name}", run, share(run, hub, name))
        assert len(hub.uploads) == 1  # what had arrived was not sent twice


def test_dropped_at_twenty_points_it_recovers_or_says_so_and_is_finished_by_sharing_again(
    hub: WritableHub, run: Run
) -> None:
    recovered = 0
    for number, (at, done, body) in enumerate(CUTS):
        name = f"dropped-{number}"
        connectivity._probes.clear()
        hub.objects.clear()
        hub.calls.clear()
        hub.cut = Cut(at, done, body)
        try:
            receipt = share(run, hub, name)
            recovered += 1
        except UserError as error:
            assert "connection broke" in error.what and "share it again" in error.todo, (at, done, error)
            hub.cut = None
            receipt = share(run, hub, name)
        assert_whole(hub, f"anna/{name}", run, receipt)
        assert len(hub.repos[("models", f"anna/{name}")].commits) == 2  # the empty one and ours, never a third
    assert recovered >= 10  # the client itself tries again where it may


def test_only_what_changed_is_sent_again(hub: WritableHub, tmp_path: Path) -> None:
    run = sharable_run(tmp_path)
    first = share(run, hub)
    hub.calls.clear()
    again = share(run, hub)
    assert again == first and len(hub.uploads) == 1
    assert not any("/commit/" in call.path for call in hub.calls)
    share(run, hub, licence="mit")
    assert b"license: mit" in hub.files("anna/model")["README.md"]
    assert len(hub.uploads) == 1 and receipt_of(run) is not None


@pytest.mark.parametrize("moods", [[503], [429, 503, 500]])
def test_a_hub_in_trouble_for_a_moment_is_asked_again(
    hub: WritableHub, run: Run, moods: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    hub.moods = {"/api/models/anna/model/commit": list(moods)}
    with caplog.at_level(logging.WARNING, "voicetune.hub"):
        assert_whole(hub, "anna/model", run, share(run, hub))
    assert len(hub.uploads) == 1 and len(hub.repos[("models", "anna/model")].commits) == 2
    told = [record.getMessage() for record in caplog.records if record.name == "voicetune.hub"]
    assert len(told) == len(moods) and all(f"status {mood};" in words for mood, words in zip(moods, told, strict=True))


def test_what_will_not_pass_is_not_asked_again(hub: WritableHub, run: Run) -> None:
    for status in (403, 413):
        hub.calls.clear()
        hub.statuses = {"/api/models/anna/model/commit": status}
        with pytest.raises(UserError):
            share(run, hub)
        assert len([call for call in hub.calls if "/commit/" in call.path]) == 1


def test_each_refusal_is_logged_without_what_was_sent(
    hub: WritableHub, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    hub.statuses = {"/api/repos/create": 418}
    with caplog.at_level(logging.DEBUG, "voicetune.hub"), pytest.raises(UserError):
        share(run, hub)
    (record,) = [record for record in caplog.records if record.name == "voicetune.hub"]
    words = record.getMessage()
    assert "anna/model" in words and "418" in words and "HTTP" in words and record.levelname == "WARNING"
    assert "http:" not in words and "127.0.0.1" not in words and ANNA not in words and record.exc_info is None


def test_progress_counts_every_byte(hub: WritableHub, run: Run) -> None:
    heard: list[tuple[int, int]] = []
    receipt = publish(run, PublishOptions("m"), ANNA, PICTURE, Hub(hub.url), lambda *figures: heard.append(figures))
    total = sum(receipt.files.values())
    assert heard[0] == (0, 0) and heard[-1] == (total, total)
    assert heard == sorted(heard) and len(heard) > 5


def test_each_refusal_is_two_sentences(hub: WritableHub, run: Run) -> None:
    def refused(name: str = "model", token: Token | None = ANNA, **options: object) -> UserError:
        with pytest.raises(UserError) as caught:
            share(run, hub, name, token, **options)
        error = caught.value
        for sentence in (error.what, error.todo):
            assert sentence[0].isupper() or sentence.startswith("anna/")
            assert sentence.endswith(".") and "hf_" not in sentence and "127.0.0.1" not in sentence
        assert error.__cause__ is None  # a library's words may hold what was sent
        return error

    hub.let_in("hf_reader", "anna", role="read")
    hub.let_in("hf_bert", "bert")
    assert "not signed in" in refused(token=None).what
    assert "not signed in" in refused(token="").what
    assert "expired" in refused(token="hf_forgotten").what
    assert "only read" in refused(token="hf_reader").what
    assert "may not write" in refused("bert/model").what
    assert "no name" in refused("").what
    for wrong in ("a b", "../up", "a/b/c", "-x", "x.git", "a--b", "é", "x" * 97, "https://evil.org/a/b", "a\nb", "|`"):
        assert "does not take that name" in refused(wrong).what, wrong
    assert "licence" in refused(licence="none").what
    hub.add_model("anna/other", {"config.json": b"{}"})
    assert "already" in refused("other").what and hub.files("anna/other") == {"config.json": b"{}"}
    for status, words in ((429, "asks for a pause"), (503, "in trouble"), (403, "may not write"), (413, "not accept")):
        hub.statuses = {"/api/repos/create": status}
        assert words in refused().what
    for path in ("/api/whoami-v2", "/api/models/anna/limited/preupload", "/api/models/anna/limited/commit"):
        hub.statuses = {path: 429}
        assert "asks for a pause" in refused("limited").what
    hub.objects.clear()
    hub.statuses = {"/large/": 500}
    assert "in trouble" in refused("limited").what
    hub.statuses = {"/api/validate-yaml": 400}
    assert "did not accept" in refused("limited").what
    hub.statuses = {}
    assert share(run, hub, "limited").private


def test_an_expired_login_of_this_computer_is_said(hub: WritableHub, run: Run) -> None:
    with pytest.raises(UserError, match="hf auth login"):
        share(run, hub, token=True)
    assert {call.token for call in hub.calls} == {"", HOST}  # read by huggingface_hub, and by nobody else


def test_a_computer_without_a_login_is_told_how_to_get_one(
    hub: WritableHub, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    (tmp_path / "token").unlink()
    with pytest.raises(UserError, match="hf auth login"):
        share(run, hub, token=True)


def test_out_of_reach_is_said_at_once(hub: WritableHub, run: Run) -> None:
    hub.stop()
    with pytest.raises(UserError, match="cannot be reached"):
        share(run, hub)


def test_private_stays_private_and_a_change_of_mind_is_left_to_the_hub(hub: WritableHub, tmp_path: Path) -> None:
    run = sharable_run(tmp_path)
    assert share(run, hub).private and "anna/model" in hub.private
    with pytest.raises(UserError, match="it is private"):
        share(run, hub, private=False)
    assert not share(run, hub, "open", private=False).private
    with pytest.raises(UserError, match="it is public"):
        share(run, hub, "open")


def test_a_run_is_shared_over_itself_but_never_over_another(hub: WritableHub, tmp_path: Path) -> None:
    mine, other = sharable_run(tmp_path / "a"), sharable_run(tmp_path / "b", steps=30)
    share(mine, hub)
    before = hub.files("anna/model")
    with pytest.raises(UserError, match="already"):
        share(other, hub)
    assert hub.files("anna/model") == before
    (mine.folder / "shared.json").unlink()  # as on another computer
    share(mine, hub)


def test_a_run_that_goes_on_or_has_no_model_is_not_shared(hub: WritableHub, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="still going on"):
        share(sharable_run(tmp_path / "a", end="none"), hub)
    empty = sharable_run(tmp_path / "b")
    (empty.model / "model.safetensors").unlink()
    with pytest.raises(UserError, match="no model"):
        share(empty, hub)
    assert not hub.repos


def test_tokens_go_to_the_hub_alone(
    hub: WritableHub, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """A large file goes to another address, as on the real Hub; a commit is sent on to one, as it must not be."""
    run = sharable_run(tmp_path / "data")
    with caplog.at_level(logging.DEBUG), WritableHub() as elsewhere:
        hub.store = elsewhere.url
        with pytest.raises(UserError):  # the weights lie elsewhere, so this Hub knows none of them
            share(run, hub, "stored")
        hub.store, hub.moved = None, elsewhere.url
        with pytest.raises(UserError):
            share(run, hub, "moved")
        hub.moved = None
        share(run, hub, "stored")
        assert {call.path.split("/")[1] for call in elsewhere.calls} == {"large", "api"}
        assert {call.token for call in elsewhere.calls} == {""}
        seen = [repr(call) for call in elsewhere.calls]
    assert not any("canary" in text for text in seen)
    assert {call.token for call in hub.calls} == {"", ANNA}  # never the host's
    assert not any("canary" in repr((call.path, call.body)) for call in hub.calls)
    assert "canary" not in caplog.text and "canary" not in "".join(capfd.readouterr())
    for file in run.folder.rglob("*"):
        assert not file.is_file() or b"canary" not in file.read_bytes(), file


@pytest.mark.parametrize("token", ["hf_canary\nX-Evil: 1", "hf_canary\r\n", "hf_canaryé", "hf_canary\0"])
def test_a_token_that_is_none_breaks_nothing_and_is_not_repeated(
    hub: WritableHub, run: Run, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(UserError) as caught:
        share(run, hub, token=token)
    assert "canary" not in str(caught.value) and "canary" not in caplog.text


def test_a_hub_that_answers_nonsense_is_refused_in_a_sentence(
    hub: WritableHub, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastapi.responses import JSONResponse, Response

    answers: list[Callable[[], Response]] = [
        lambda: Response("<html>captive portal</html>", 200),
        lambda: JSONResponse([]),
        lambda: JSONResponse({"files": "none", "objects": 1, "name": None, "siblings": [{}]}),
        lambda: JSONResponse({"objects": [{"oid": 1}], "files": [{"path": "x"}]}),
    ]
    for step in ("_whoami", "_create", "_preupload", "_commit", "_batch", "_hide"):
        for number, answer in enumerate(answers):
            with monkeypatch.context() as patched:
                patched.setattr(hub, step, lambda call, match, answer=answer: answer())
                try:
                    receipt = share(run, hub, f"odd{step.replace('_', '-')}-{number}")
                except UserError as error:
                    assert error.what.endswith(".") and error.todo.endswith(".")
                else:  # what the Hub said of making a repo does not matter where the repo is there
                    assert receipt.files
