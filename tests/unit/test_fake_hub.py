"""The fake Hub speaks as the real one: huggingface_hub's own client takes each of its answers, and takes it up whole.

What the client does not know of an answer it keeps as it came, and what it misses becomes None: so both are looked for.
"""

import dataclasses
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd, HfApi, JobHardware, ModelCard, constants, get_hf_file_metadata
from huggingface_hub import errors as refusals
from huggingface_hub.utils import close_session

from tests.fakes.hub_jobs import JobsHub
from tests.fakes.hub_search import Listed
from trainer.hub.connectivity import reachable

TOKEN, STRANGER = "hf_of_anna", "hf_of_bert"
ID, DATA = "anna/small", "anna/clips"
WEIGHTS = b"\7" * 1000
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS, "clips/a b.wav": b"RIFF"}
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
GIT_OID = hashlib.sha1(b"blob 2\0{}").hexdigest()
CARD = "---\nlicense: mit\n---\n# A model\n"


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """Neither the real Hub's list of agents' names nor its storage is asked for."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(constants, "HF_HUB_DISABLE_XET", True)
        patched.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
        patched.delenv("HF_HUB_OFFLINE", raising=False)
        yield
    close_session()


@pytest.fixture(scope="module")
def hub() -> Iterator[JobsHub]:
    """One for all: the last test looks at what was asked of it."""
    with JobsHub() as served:
        served.let_in(TOKEN, "anna")
        served.let_in(STRANGER, "bert")
        served.add_model(ID, FILES)
        served.add_dataset(DATA, FILES)
        served.add_model("anna/gated", FILES, gated=True)
        served.listed = [
            Listed("anna/large", "de", downloads=5, parameters={"F32": 300, "F16": 20}),
            Listed("anna/popular", "de", downloads=9, gated="auto"),
            Listed("anna/other", "fr"),
        ]
        yield served


@pytest.fixture
def api(hub: JobsHub) -> HfApi:
    return HfApi(endpoint=hub.url, token=TOKEN)


@pytest.fixture
def commit(hub: JobsHub) -> str:
    return hub.repos["models", ID].refs["main"]


def invented(answer: Any) -> set[str]:
    """What an answer held beyond the client's own fields."""
    known = {field.name for field in dataclasses.fields(answer)}
    return set(vars(answer)) - known - {"lastModified", "cardData", "transformersInfo", "_id", "modelId"}


def assert_lists_files(siblings: Any) -> None:
    found = {file.rfilename: file for file in siblings}
    assert {name: file.size for name, file in found.items()} == {name: len(data) for name, data in FILES.items()}
    assert found["config.json"].blob_id == GIT_OID and found["config.json"].lfs is None
    large = found["model.safetensors"].lfs
    assert (large.sha256, large.size) == (SHA256, 1000) and large.pointer_size > 100


def test_what_a_model_is(api: HfApi, commit: str) -> None:
    info = api.model_info(ID, files_metadata=True)
    assert (info.id, info.sha, info.private, info.gated, info.disabled) == (ID, commit, False, False, False)
    assert_lists_files(info.siblings)
    assert invented(info) == set()
    plain = api.model_info(ID, revision="main")
    assert plain.sha == commit and {file.size for file in plain.siblings or []} == {None}
    assert api.model_info("anna/gated").gated == "manual"


def test_what_a_data_set_is(api: HfApi) -> None:
    info = api.dataset_info(DATA, files_metadata=True)
    assert (info.id, info.private, info.gated) == (DATA, False, False) and len(str(info.sha)) == 40
    assert_lists_files(info.siblings)
    assert invented(info) == set()


@pytest.mark.parametrize(("kind", "repo_id"), [("model", ID), ("dataset", DATA)])
def test_files_and_folders(api: HfApi, kind: str, repo_id: str) -> None:
    listed: dict[str, Any] = {each.path: each for each in api.list_repo_tree(repo_id, recursive=True, repo_type=kind)}
    assert set(listed) == {*FILES, "clips"}
    assert type(listed["clips"]).__name__ == "RepoFolder" and len(listed["clips"].tree_id) == 40
    assert (listed["config.json"].size, listed["config.json"].blob_id) == (2, GIT_OID)
    assert listed["model.safetensors"].lfs.sha256 == SHA256
    assert [each.path for each in api.list_repo_tree(repo_id, "clips", repo_type=kind)] == ["clips/a b.wav"]
    assert len(list(api.list_repo_tree(repo_id, repo_type=kind))) == 3
    (asked,) = api.get_paths_info(repo_id, ["clips/a b.wav", "not there"], repo_type=kind)
    assert (asked.path, asked.size) == ("clips/a b.wav", 4)  # type: ignore[union-attr]


def test_files_are_described_and_sent(api: HfApi, hub: JobsHub, commit: str, tmp_path: Path) -> None:
    for name, etag in (("config.json", GIT_OID), ("model.safetensors", SHA256)):
        told = get_hf_file_metadata(f"{hub.url}/{ID}/resolve/main/{name}")
        assert (told.commit_hash, told.etag, told.size) == (commit, etag, len(FILES[name]))
        assert told.location.startswith(hub.url) and told.xet_file_data is None
    for repo_id, kind in ((ID, "model"), (DATA, "dataset")):
        for name, data in FILES.items():
            path = Path(api.hf_hub_download(repo_id, name, repo_type=kind, cache_dir=tmp_path))
            assert path.read_bytes() == data


def test_a_search(api: HfApi) -> None:
    found = list(
        api.list_models(
            filter=["wav2vec2", "de"],
            pipeline_tag="automatic-speech-recognition",
            sort="downloads",
            expand=["config", "downloads", "gated", "safetensors", "tags"],
        )
    )
    assert [model.id for model in found] == ["anna/popular", "anna/large"]
    popular, large = found
    assert (large.downloads, large.gated, popular.gated) == (5, False, "auto")
    assert large.safetensors and (large.safetensors.total, large.safetensors.parameters["F16"]) == (320, 20)
    assert large.config == {"architectures": ["Wav2Vec2ForCTC"], "model_type": "wav2vec2"}
    assert {"license:apache-2.0", "de"} <= set(large.tags or [])
    assert invented(large) == set()
    assert [model.id for model in api.list_models(gated=True, expand=["gated"])] == ["anna/popular"]
    assert len(list(api.list_models(limit=2))) == 2


def test_who_is_asking(api: HfApi, hub: JobsHub) -> None:
    who = api.whoami()
    assert (who["name"], who["type"], who["auth"]["accessToken"]["role"]) == ("anna", "user", "write")
    with pytest.raises(refusals.HfHubHTTPError) as refused:
        HfApi(endpoint=hub.url, token="hf_of_nobody").whoami()
    assert refused.value.response.status_code == 401


def test_a_repo_is_made_and_written_to(api: HfApi, hub: JobsHub) -> None:
    made = api.create_repo("anna/new", private=True)
    assert (made.repo_id, made.repo_type, str(made)) == ("anna/new", "model", f"{hub.url}/anna/new")
    assert api.model_info("anna/new").private
    assert api.create_repo("anna/new", exist_ok=True).repo_id == "anna/new"
    parts = [CommitOperationAdd(name, data) for name, data in FILES.items()]
    done = api.create_commit("anna/new", parts, commit_message="All of it")
    assert done.oid == hub.repos["models", "anna/new"].refs["main"]
    assert done.commit_url == f"{hub.url}/anna/new/commit/{done.oid}" and done.repo_url.repo_id == "anna/new"
    assert hub.uploads == [SHA256], "the weights went on their own way"
    assert {name: data for name, data in hub.files("anna/new").items() if name in FILES} == FILES
    again = api.create_commit("anna/new", [CommitOperationAdd("config.json", b"{}")], commit_message="Again")
    assert again.oid == done.oid
    sent = [call for call in hub.calls if call.path == "/api/models/anna/new/commit/main"]
    assert len(sent) == 1, "the client saw from the answers that nothing had changed"


def test_a_card_is_checked(hub: JobsHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.repocard.constants.ENDPOINT", hub.url)
    card = ModelCard(CARD)
    card.validate()
    monkeypatch.setattr(ModelCard, "__str__", lambda self: "---\n[\n---\n")
    with pytest.raises(ValueError, match="metadata is broken"):
        card.validate()


def test_machines_and_jobs(api: HfApi, hub: JobsHub) -> None:
    machines = {machine.name: machine for machine in api.list_jobs_hardware()}
    small, basic = machines["t4-small"], machines["cpu-basic"]
    assert small.accelerator and (small.accelerator.quantity, small.accelerator.type) == ("1", "gpu")
    assert small.unit_cost_usd == pytest.approx(small.unit_cost_micro_usd / 1e6) and small.unit_label == "minute"
    assert basic.accelerator is None
    assert all(machine.ephemeral_storage.endswith(" GB") for machine in machines.values())
    assert set(machines) <= {str(known.value) for known in JobHardware}
    asked: dict[str, Any] = {"image": "python:3.12", "flavor": "t4-small", "namespace": "anna"}
    command = ["sh", "-c", "echo $WORD; exec sleep 60"]
    job = api.run_job(command=command, env={"WORD": "said"}, secrets={"S": "x"}, labels={"l": "m"}, timeout=90, **asked)
    assert (job.docker_image, job.command, job.flavor) == ("python:3.12", command, "t4-small")
    assert job.labels and job.labels["l"] == "m"
    assert (job.environment, list(job.secrets or {}), job.owner.name) == ({"WORD": "said"}, ["S"], "anna")
    assert job.created_at and job.status.stage == "RUNNING" and hub.jobs[job.id].spec["timeoutSeconds"] == 90
    deadline = time.monotonic() + 20
    while not hub.jobs[job.id].lines:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    api.cancel_job(job_id=job.id, namespace="anna")
    over = api.inspect_job(job_id=job.id, namespace="anna")
    assert over.status.stage == "CANCELED" and over.id == job.id
    assert list(api.fetch_job_logs(job_id=job.id, namespace="anna", follow=True)) == ["said"]


def test_a_refusal_is_the_exception_that_is_meant(api: HfApi, hub: JobsHub, tmp_path: Path) -> None:
    with pytest.raises(refusals.RepositoryNotFoundError):
        api.model_info("anna/nothing")
    with pytest.raises(refusals.RevisionNotFoundError):
        api.model_info(ID, revision="never")
    with pytest.raises(refusals.RemoteEntryNotFoundError):
        api.hf_hub_download(ID, "nothing.json", cache_dir=tmp_path)
    with pytest.raises(refusals.GatedRepoError):
        api.hf_hub_download("anna/gated", "config.json", cache_dir=tmp_path)
    api.create_repo("anna/hidden", private=True)
    stranger = HfApi(endpoint=hub.url, token=STRANGER)
    with pytest.raises(refusals.RepositoryNotFoundError):
        stranger.model_info("anna/hidden")
    with pytest.raises(refusals.HfHubHTTPError, match="403"):
        stranger.create_commit(ID, [CommitOperationAdd("a", b"a")], commit_message="Not mine")
    with pytest.raises(refusals.HfHubHTTPError, match="409"):
        api.create_repo("anna/hidden")


def test_the_front_page_says_that_it_is_there(hub: JobsHub) -> None:
    assert reachable(hub.url, timeout=5.0)


def test_nothing_is_served_that_no_test_here_has_asked_for(hub: JobsHub, request: pytest.FixtureRequest) -> None:
    """It looks at what the tests above have asked for, so it comes last and wants them all to have run."""
    if {name for name in globals() if name.startswith("test_")} - {
        getattr(item, "originalname", "") for item in request.session.items
    }:
        pytest.skip("only a part of this file was asked for")
    unasked = [
        f"{'|'.join(route.methods)} {route.pattern.pattern}"
        for route in (*hub.writing_routes(), *hub.routes())
        if not any(route.match(call.method, call.path) for call in hub.calls)
    ]
    assert unasked == []
