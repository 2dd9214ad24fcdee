"""One nursery and one uninjured run for all tests of faults."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.lesson import Result, finish, new_run, result_of, save_lesson
from tests.faults.nursery import Nursery
from trainer.training.recipe import Recipe


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path_factory.mktemp("data"))
    yield nursery
    nursery.close()


@pytest.fixture(scope="session")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return save_lesson(tmp_path_factory.mktemp("lesson"))


@pytest.fixture(scope="session")
def uninjured(nursery: Nursery, lesson: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Result:
    run = new_run(tmp_path_factory.mktemp("reference"), lesson, "run")
    finish(nursery, run)
    return result_of(run)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> str:
    """Of a test's random numbers: its own name, so that a failure comes again."""
    return str(request.node.name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """For the runs of one test."""
    return tmp_path / "runs"
