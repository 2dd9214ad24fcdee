"""Deleting a training from the page, after a question; and what the trainings take."""

import pytest
from playwright.sync_api import expect

from tests.app.conftest import Visit, shoot
from tests.app.serving import App
from tests.app.sight import faults_of_sight
from tests.fakes.run_folder import write_run
from trainer.runs.run import list_runs


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_a_training_is_deleted_after_a_question(app: App, visit: Visit, width: int, dark: bool) -> None:
    before = len(list_runs(app.data / "runs"))
    write_run(app.data), write_run(app.data)
    page = visit(width, dark).open(app.url)
    expect(page.locator("#room")).to_contain_text(f"Your {before + 2} trainings take")
    page.get_by_role("button", name="Delete this training").click()
    expect(page.get_by_text("for good?")).to_be_visible()
    page.wait_for_timeout(500)
    assert faults_of_sight(page) == []
    shoot(page, f"delete-{width}-{'dark' if dark else 'light'}")
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_text("for good?")).to_be_hidden()
    assert len(list_runs(app.data / "runs")) == before + 2
    page.get_by_role("button", name="Delete this training").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("for good?")).to_be_hidden()
    expect(page.locator("#room")).not_to_contain_text(f"Your {before + 2} trainings")
    assert len(list_runs(app.data / "runs")) == before + 1
