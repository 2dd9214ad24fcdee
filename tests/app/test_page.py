"""The page before anything was trained: in two widths and two themes, by keyboard, and with readable contrast."""

import pytest
from playwright.sync_api import Page, expect

from tests.app.accessibility import accessibility_faults
from tests.app.conftest import Visit, shoot
from tests.app.serving import App
from trainer.training.recipe import PRESETS

SIZES = [pytest.param(1280, id="desktop"), pytest.param(390, id="phone")]
THEMES = [pytest.param(False, id="light"), pytest.param(True, id="dark")]


@pytest.mark.parametrize("dark", THEMES)
@pytest.mark.parametrize("width", SIZES)
def test_both_tabs_fit_and_can_be_read(app: App, visit: Visit, width: int, dark: bool) -> None:
    page = visit(width, dark).open(app.url)
    expect(page.get_by_role("button", name="Play:").first).to_be_visible()
    expect(page.get_by_role("img", name="Word errors by training step")).to_be_visible()
    expect(page.locator(".example-badge").first).to_be_visible()
    assert accessibility_faults(page) == []
    name = f"{width}-{'dark' if dark else 'light'}"
    shoot(page, f"empty-finetune-{name}")
    page.get_by_role("button", name="Advanced").click()
    expect(page.get_by_label("Learning rate")).to_be_visible()
    assert accessibility_faults(page) == []
    shoot(page, f"empty-advanced-{name}")
    page.get_by_role("tab", name="Transcribe").click()
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_visible()
    assert accessibility_faults(page) == []
    shoot(page, f"empty-transcribe-{name}")


def test_without_a_run_what_cannot_be_used_is_disabled_and_says_why(page: Page) -> None:
    for name in ("Stop and keep what it learnt", "Talk to your model", "Download", "Fine-tune again"):
        expect(page.get_by_role("button", name=name, exact=True)).to_be_disabled()
    expect(page.get_by_text("These wake up once a training has begun.")).to_be_visible()
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_enabled()


def test_a_preset_that_needs_the_hub_says_so_and_cannot_start(page: Page) -> None:
    page.get_by_text("needs the Hub, which is out of reach").first.wait_for()
    page.get_by_role("radio", name="The guide").check()
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_disabled()
    expect(page.locator("#start-note")).to_contain_text("needs the Hugging Face Hub")
    page.get_by_role("radio", name="Quick look").check()
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_enabled()


def test_a_preset_fills_the_fields(page: Page) -> None:
    page.get_by_role("button", name="Advanced").click()
    steps = page.get_by_label("Steps", exact=True)
    expect(steps).to_have_value(str(PRESETS["quick"].recipe.max_steps))
    page.get_by_role("radio", name="Thorough").check()
    expect(steps).to_have_value(str(PRESETS["thorough"].recipe.max_steps))


def test_another_language_shows_its_own_clips(page: Page) -> None:
    first = page.locator("#data-card li").first
    first.wait_for()
    english = first.inner_text()
    language = page.get_by_label("Language").first
    language.click()
    page.get_by_role("option", name="Deutsch").click()
    expect(first).not_to_have_text(english)
    expect(page.locator("#data-card [lang='de-DE']").first).to_be_visible()


def test_a_clip_plays_and_stops(page: Page) -> None:
    button = page.get_by_role("button", name="Play:").first
    button.click()
    expect(button).to_have_class("play playing")
    assert page.evaluate("[...document.querySelectorAll('audio.sound')].some((sound) => !sound.paused)")
    button.click()
    expect(button).to_have_class("play")


def test_a_field_out_of_range_is_explained_beside_start(page: Page) -> None:
    page.get_by_role("button", name="Advanced").click()
    page.get_by_label("Learning rate").fill("7")
    page.get_by_label("Learning rate").press("Tab")
    page.get_by_role("button", name="Advanced").click()
    page.wait_for_timeout(500)  # the page takes a moment to hand the number on; a person's hand is slower
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#start-refusal")).to_contain_text("The learning rate cannot be 7")


def test_the_keyboard_reaches_start(page: Page) -> None:
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_enabled()
    page.locator("#locale input").focus()
    page.keyboard.press("Escape")
    for _ in range(14):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "start":
            return
    pytest.fail("Start cannot be reached with the Tab key")
