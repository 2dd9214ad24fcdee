"""One fork_server and one uninjured run for all tests of faults."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.fork_server import ForkServer
from tests.faults.lesson import Result, finish, new_run, result_of, save_lesson
from trainer.training.recipe import Recipe


@pytest.fixture(scope="session")
def fork_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    fork_server = ForkServer(tmp_path_factory.mktemp("data"))
    yield fork_server
    fork_server.close()


@pytest.fixture(scope="session")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return save_lesson(tmp_path_factory.mktemp("lesson"))


@pytest.fixture(scope="session")
def uninjured(fork_server: ForkServer, lesson: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Result:
    run = new_run(tmp_path_factory.mktemp("reference"), lesson, "run")
    finish(fork_server, run)
    return result_of(run)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> str:
    """Of a test's random numbers: its own name, so that a failure comes again."""
    return str(request.node.name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """For the runs of one test."""
    return tmp_path / "runs"
