"""Deleting a training from the page, after a question; and what the trainings take."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.app.accessibility import accessibility_faults
from tests.app.browsing import late_answers
from tests.app.conftest import Visit, shoot
from tests.app.serving import App
from tests.fakes.run_folder import write_run
from trainer.runs.run import list_runs
from trainer.speech.locales import LOCALES


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_a_training_is_deleted_after_a_question(app: App, visit: Visit, width: int, dark: bool) -> None:
    before = len(list_runs(app.data / "runs"))
    write_run(app.data), write_run(app.data)
    page = visit(width, dark).open(app.url)
    expect(page.locator("#room")).to_contain_text(f"Your {before + 2} trainings take")
    page.get_by_role("button", name="Delete this training").click()
    expect(page.get_by_text("for good?")).to_be_visible()
    page.wait_for_timeout(500)
    assert accessibility_faults(page) == []
    shoot(page, f"delete-{width}-{'dark' if dark else 'light'}")
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_text("for good?")).to_be_hidden()
    assert len(list_runs(app.data / "runs")) == before + 2
    page.get_by_role("button", name="Delete this training").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("for good?")).to_be_hidden()
    expect(page.locator("#room")).not_to_contain_text(f"Your {before + 2} trainings")
    assert len(list_runs(app.data / "runs")) == before + 1


def test_the_question_comes_at_the_first_press_after_the_list_had_the_focus(app: App, visit: Visit) -> None:
    write_run(app.data)
    page = visit().open(app.url)
    question = page.get_by_text("for good?")
    for _ in range(3):
        page.locator("#earlier input").click()
        page.get_by_role("button", name="Delete this training").click()
        expect(question).to_be_visible()
        page.wait_for_timeout(1500)  # an answer that comes later must not close it
        expect(question).to_be_visible()
        page.get_by_role("button", name="Keep it").click()
        expect(question).to_be_hidden()


def test_the_question_closes_when_another_run_is_chosen(app: App, visit: Visit) -> None:
    write_run(app.data), write_run(app.data)
    page = visit().open(app.url)
    page.get_by_role("button", name="Delete this training").click()
    expect(page.get_by_text("for good?")).to_be_visible()
    page.locator("#earlier input").click()
    page.get_by_role("option").nth(1).click()
    expect(page.get_by_text("for good?")).to_be_hidden()


def test_the_form_has_the_language_of_the_run_after_a_reload(app: App, visit: Visit) -> None:
    write_run(app.data, locale="de-DE")
    page = visit(tolerate="AbortError|errored out").open(app.url)
    expect(page.locator("#locale input")).to_have_value(LOCALES["de-DE"].label)
    expect(page.locator("#data-card")).to_contain_text("Was brauche ich")
    page.reload()
    expect(page.locator("#locale input")).to_have_value(LOCALES["de-DE"].label)


def test_who_is_quicker_than_the_page_is_not_overruled(app: App, visit: Visit) -> None:
    """The page's first answer, which shows the newest run and fills in its language, comes late."""
    write_run(app.data, locale="de-DE")
    page = visit().context.new_page()
    with late_answers(page):
        page.goto(app.url)
        page.locator("#locale input").click()
        page.get_by_role("option", name="Polish").click()
        expect(page.get_by_role("button", name="Start", exact=True)).to_be_disabled()
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_enabled()
    expect(page.locator("#status")).to_contain_text("German")
    page.wait_for_timeout(1000)
    expect(page.locator("#locale input")).to_have_value(re.compile("Polish"))


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("Steps", "The steps cannot be -4."),
        ("Learning rate", "The learning rate cannot be -4."),
        ("Batch", "The batch cannot be -4."),
        ("Warm-up", "The warm-up cannot be -4."),
        ("Gradient accumulation", "The gradient accumulation cannot be -4."),
        ("Clips to use", "The clips to use cannot be -4."),
        ("Seed", "The seed cannot be -4."),
    ],
)
def test_an_absurd_number_is_answered_in_our_words(app: App, page: Page, label: str, said: str) -> None:
    before = len(list_runs(app.data / "runs"))
    expect(page.locator("#room")).to_contain_text("take")
    page.get_by_role("button", name="Advanced").click()
    field = page.get_by_label(re.compile(f"^{label}")).first
    for _ in range(3):  # what is typed before the page's first answer may be filled in once more
        field.fill("-4")
        page.wait_for_timeout(1000)  # it takes a moment to hand the number on; a person's hand is slower
        if field.input_value() == "-4":
            break
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#start-refusal")).to_contain_text(said)
    expect(page.locator(".toast-wrap .toast-body")).to_have_count(0)
    assert len(list_runs(app.data / "runs")) == before
