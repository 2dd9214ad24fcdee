"""The choice of a base model and the search for others, in a real browser, with the Hub and without."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.app.accessibility import accessibility_faults
from tests.app.browsing import late_answers, profile
from tests.app.conftest import Visit, shoot
from tests.app.serving import App, start_app
from tests.fakes.hub import FakeHub
from tests.fakes.hub_search import Listed
from trainer.training.recipe import PRESETS

SIZES = [pytest.param(1280, id="desktop"), pytest.param(390, id="phone")]
THEMES = [pytest.param(False, id="light"), pytest.param(True, id="dark")]


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    """A Hub that knows five models and holds none of their files."""
    with FakeHub() as hub:
        hub.listed = [
            Listed(f"anna/wav2vec2-english-{number}", "en", parameters={"F32": 94_400_000}, downloads=9000 - number)
            for number in range(5)
        ]
        yield hub


@pytest.fixture(scope="module")
def online(hub: FakeHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """An app that reaches it."""
    running = start_app(tmp_path_factory.mktemp("online"), HF_HUB_OFFLINE="0", HF_ENDPOINT=hub.url)
    yield running
    running.stop()


@pytest.fixture
def page_online(online: App, browser: Browser) -> Iterator[Page]:
    """Its page on a desktop. The data set is not on this Hub, which the page says."""
    context = profile(browser)
    context.set_default_timeout(30_000)
    page = context.new_page()
    page.goto(online.url)
    page.get_by_role("button", name="Start", exact=True).wait_for()
    yield page
    context.close()


def unfold(page: Page) -> None:
    page.locator("#model-choice > button").click()
    page.locator("#base input").wait_for()


def choose(page: Page, title: str) -> None:
    page.locator("#base input").click()
    page.get_by_role("option", name=title).click()


@pytest.mark.parametrize("dark", THEMES)
@pytest.mark.parametrize("width", SIZES)
def test_offline_the_starter_is_chosen_and_the_others_say_why_not(
    app: App, visit: Visit, width: int, dark: bool
) -> None:
    page = visit(width, dark).open(app.url)
    expect(page.locator("#model-choice > button")).to_contain_text("Model: Starter")
    expect(page.locator("#base input")).to_be_hidden()
    page.get_by_text("needs the Hub, which is out of reach").first.wait_for()
    unfold(page)
    expect(page.locator("#recommended")).to_contain_text("Recommended: Starter")
    expect(page.locator("#base-card")).to_contain_text("Comes with Voicetune")
    page.locator("#not-now summary").click()
    expect(page.locator("#not-now")).to_contain_text("Needs the Hugging Face Hub, which is out of reach.")
    page.locator("#base input").click()
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Escape")
    assert accessibility_faults(page) == []
    shoot(page, f"chooser-offline-{width}-{'dark' if dark else 'light'}")


def test_offline_a_search_says_that_the_hub_is_away(page: Page) -> None:
    unfold(page)
    page.locator("#base-search").click()
    expect(page.locator("#base-found-note")).to_contain_text("cannot be reached")


def test_another_base_brings_its_recipe_and_says_what_it_takes(page_online: Page) -> None:
    page = page_online
    unfold(page)
    choose(page, "wav2vec2-base ·")
    expect(page.locator("#model-choice > button")).to_contain_text("Model: wav2vec2-base")
    expect(page.get_by_role("radio", name="A real model")).to_be_checked()
    for words in ("380 MB to download", "Apache-2.0", "Here: about", "of memory"):
        expect(page.locator("#base-card")).to_contain_text(words)
    page.get_by_role("radio", name="Quick look").check()
    expect(page.locator("#model-choice > button")).to_contain_text("Model: Starter")


def test_what_cannot_fit_is_refused_beside_start(page_online: Page) -> None:
    page = page_online
    unfold(page)
    choose(page, "XLS-R 300M")
    expect(page.get_by_role("radio", name="A real model")).to_be_checked()  # what it brings along would overwrite
    page.get_by_role("button", name="Advanced").click()
    page.get_by_label("Batch").fill("3600")
    page.get_by_label("Batch").press("Tab")
    expect(page.locator("#base-card")).to_contain_text("It does not fit")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#start-refusal")).to_contain_text("This training needs about")
    expect(page.locator("#start-refusal")).to_contain_text("smaller base model")


def test_a_search_finds_bases_and_one_of_them_is_taken(page_online: Page) -> None:
    page = page_online
    unfold(page)
    page.locator("#base-search").click()
    found = page.get_by_role("radio", name="anna/wav2vec2-english-3")
    expect(found).to_be_visible()
    expect(page.locator("#base-found")).to_contain_text("378 MB · apache-2.0 · 8,997 downloads")
    found.check()
    expect(page.locator("#model-choice > button")).to_contain_text("Model: wav2vec2-english-3")
    expect(page.get_by_role("radio", name="A real model")).to_be_checked()
    expect(page.locator("#base-card")).to_contain_text("no model called anna/wav2vec2-english-3")  # it was only listed


def test_a_search_finds_models_to_talk_to(page_online: Page) -> None:
    page = page_online
    page.get_by_role("tab", name="Transcribe").click()
    page.get_by_role("button", name="Find more models on the Hub").click()
    page.locator("#models-search").click()
    expect(page.locator("#models-found-note")).to_contain_text("Choose a language first")
    page.get_by_label("Language").last.click()
    page.get_by_role("option", name="American English").last.click()
    page.locator("#models-search").click()
    page.get_by_role("radio", name="anna/wav2vec2-english-0").check()
    expect(page.get_by_label("Model", exact=True)).to_have_value("anna/wav2vec2-english-0")


def test_what_is_edited_before_an_answer_comes_is_kept(page: Page) -> None:
    page.get_by_role("button", name="Advanced").click()
    with late_answers(page):
        page.get_by_role("radio", name="Thorough").check()
        page.get_by_role("radio", name="Practice voices").check()
    expect(page.get_by_label("Steps", exact=True)).to_have_value(str(PRESETS["thorough"].recipe.max_steps))
    expect(page.get_by_role("radio", name="Practice voices")).to_be_checked()


def test_what_is_typed_before_an_answer_comes_is_kept(app: App, visit: Visit) -> None:
    """While the page loads, while it hears of another language, and while a preset fills the very same fields."""
    page = visit().context.new_page()
    with late_answers(page):
        page.goto(app.url)
        unfold(page)
        type_base(page, "anna/typed-at-first")
    page.wait_for_timeout(1500)
    expect(page.locator("#base input")).to_have_value("anna/typed-at-first")
    with late_answers(page):
        page.locator("#locale input").click()
        page.get_by_role("option", name="German").click()
        type_base(page, "anna/typed-later")
    page.wait_for_timeout(1500)
    expect(page.locator("#base input")).to_have_value("anna/typed-later")
    page.get_by_role("button", name="Advanced").click()
    steps = page.get_by_label("Steps", exact=True)
    with late_answers(page):
        page.get_by_role("radio", name="Thorough").check()
        steps.fill("7")
        steps.press("Tab")
    page.wait_for_timeout(1500)
    expect(steps).to_have_value("7")
    expect(page.locator("#model-choice > button")).to_contain_text("Model: Starter")  # the rest is as the preset has it


def type_base(page: Page, name: str) -> None:
    page.locator("#base input").fill(name)
    page.locator("#base input").press("Enter")


def test_what_the_hub_says_of_a_model_stays_on_its_card(page_online: Page) -> None:
    page = page_online
    unfold(page)
    page.locator("#base input").fill("anna/nobody-made-this")
    page.locator("#base input").press("Enter")
    expect(page.get_by_role("radio", name="A real model")).to_be_checked()
    expect(page.locator("#base-card")).to_contain_text("no model called anna/nobody-made-this")
    page.get_by_role("button", name="Advanced").click()
    page.get_by_label("Steps", exact=True).fill("7")
    page.get_by_label("Steps", exact=True).press("Tab")
    page.wait_for_timeout(1500)  # the card is written anew
    expect(page.locator("#base-card")).to_contain_text("no model called anna/nobody-made-this")
