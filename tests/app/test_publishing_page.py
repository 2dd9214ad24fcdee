"""Sharing from the page: on a laptop with its own login, on a Space as the visitor who signs in there."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, Route, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.app.accessibility import accessibility_faults
from tests.app.browsing import profile
from tests.app.conftest import shoot
from tests.app.serving import App, start_app
from tests.fakes.hub_writes import WritableHub
from tests.fakes.rendering import open_card
from tests.fakes.sharable import sharable_run
from trainer.publishing.options import PublishOptions
from trainer.publishing.plots import picture
from trainer.publishing.publish import parts_of
from trainer.runs.follower import view_of
from trainer.runs.run import Run
from trainer.speech.locales import LOCALES

pytestmark = pytest.mark.timeout(300)
EN = LOCALES["en-US"]
ANSWERS = "**/gradio_api/run/predict"
MINE, HOST, VISITOR = "hf_canary_of_mine", "hf_canary_of_the_host", "hf_canary_of_the_visitor"


def start(folder: Path, hub: WritableHub, login: str | None, **variables: str) -> App:
    """An app whose Hub is this one, on a computer with this login (None: with none)."""
    (folder / "hf").mkdir(parents=True)
    if login:
        (folder / "hf" / "token").write_text(login)
    online = {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    return start_app(folder, None, **online, **variables)


@pytest.fixture
def hub() -> Iterator[WritableHub]:
    with WritableHub() as hub:
        hub.let_in(MINE, "anna")
        yield hub


def open_sharing(page: Page) -> None:
    """Press again where the first press came while the page was still being put together."""
    share = page.get_by_role("button", name="Share", exact=True)
    page.get_by_role("button", name="Start", exact=True).wait_for()
    for _ in range(3):
        page.get_by_role("button", name="Share on the Hub").click()
        with suppress(PlaywrightTimeout):
            share.wait_for(timeout=5_000)
            return
    expect(share).to_be_visible()


def test_a_name_that_is_typed_early_is_kept(hub: WritableHub, browser: Browser, tmp_path: Path) -> None:
    """A slow line: the page is there before its run is. What is typed then would be lost when the run comes."""
    app = start(tmp_path, hub, MINE)
    try:
        sharable_run(app.data)
        page = profile(browser).new_page()
        held: list[Route] = []
        page.route(ANSWERS, lambda route: held.append(route))
        page.goto(app.url)
        open_sharing(page)
        name = page.get_by_label("Name")
        expect(name).to_be_disabled()
        for route in held:
            route.continue_()
        page.unroute(ANSWERS)
        name.fill("my-model")  # waits until it can be typed in
        page.get_by_role("button", name="Share", exact=True).click()
        expect(page.locator("#share-note a")).to_have_text("anna/my-model", timeout=20_000)
    finally:
        app.stop()


def canaries(app: App, *runs: Run) -> list[str]:
    """Files and child processes of the app that hold what they should not."""
    home = app.log.parent
    files = [file for file in home.rglob("*") if file.is_file() and file != home / "hf" / "token"]
    found = [str(file) for file in files if b"canary" in file.read_bytes()]
    for child in psutil.Process(app.process.pid).children(recursive=True):
        found += [f"process {child.pid}"] if "canary" in f"{child.environ()}{child.cmdline()}" else []
    return found


def test_a_finished_run_is_shared_with_the_login_of_this_computer(
    hub: WritableHub, browser: Browser, tmp_path: Path
) -> None:
    app = start(tmp_path, hub, MINE)
    try:
        run = sharable_run(app.data)
        page = profile(browser).new_page()
        page.goto(app.url)
        open_sharing(page)
        page.get_by_label("Name").fill("no such name")
        page.get_by_role("button", name="Share", exact=True).click()
        expect(page.locator("#share-note")).to_contain_text("does not take that name")
        hub.let_in(MINE, "anna", role="read")
        page.get_by_label("Name").fill("my-model")
        page.get_by_role("button", name="Share", exact=True).click()
        expect(page.locator("#share-note")).to_contain_text("may only read", timeout=20_000)
        hub.let_in(MINE, "anna")
        hub.delay = 0.2
        page.get_by_role("button", name="Share", exact=True).click()
        expect(page.locator("#share-note [role=progressbar]")).to_be_visible()
        expect(page.locator("#share-note a")).to_have_text("anna/my-model", timeout=20_000)
        expect(page.locator("#share-note")).to_contain_text("Only you can see it")
        assert page.locator("#usage").inner_text().count("\n") == 2
        assert page.locator("#share-note a").get_attribute("href") == f"{hub.url}/anna/my-model"
        assert accessibility_faults(page) == []
        shoot(page, "sharing")
        assert "anna/my-model" in hub.private and hub.files("anna/my-model")["curves.png"].startswith(b"\x89PNG")
        page.reload()  # another time, another browser
        open_sharing(page)
        expect(page.locator("#share-note a")).to_have_text("anna/my-model")
        for width, dark in ((390, True), (390, False), (1280, True)):
            phone = profile(browser, width, dark).new_page()
            phone.goto(app.url)
            open_sharing(phone)
            expect(phone.locator("#share-note a")).to_be_visible()
            assert accessibility_faults(phone) == []
        assert canaries(app, run) == []
    finally:
        app.stop()
    assert "canary" not in app.log.read_text()


def test_a_run_is_shared_when_it_has_finished(hub: WritableHub, browser: Browser, tmp_path: Path) -> None:
    app = start(tmp_path, hub, None, HF_TOKEN=MINE)  # in the environment, which the trainer must not inherit
    try:
        page = profile(browser).new_page()
        page.goto(app.url)
        page.get_by_role("button", name="Advanced").click()
        page.get_by_label("Practice voices").check()
        page.get_by_label("Steps").fill("1")
        page.get_by_label("Clips to use").fill("8")
        page.get_by_label("Share it on the Hub when it has finished").check()
        page.get_by_role("button", name="Start", exact=True).click()
        open_sharing(page)
        expect(page.locator("#share-note")).to_contain_text("when the training has ended", timeout=20_000)
        expect(page.get_by_role("button", name="Share", exact=True)).to_be_disabled()
        trainer = next(iter(psutil.Process(app.process.pid).children()))
        assert "canary" not in f"{trainer.environ()}{trainer.cmdline()}"
        expect(page.locator("#share-note a")).to_have_text(re.compile("anna/voicetune-en-us-"), timeout=120_000)
        repo_id = page.locator("#share-note a").inner_text()
        assert repo_id in hub.private and "model.safetensors" in hub.files(repo_id)
        assert canaries(app) == []
    finally:
        app.stop()


def test_a_space_shares_for_who_is_signed_in_and_only_the_owner(browser: Browser, tmp_path: Path) -> None:
    pytest.importorskip("authlib", reason="needs gradio[oauth]")
    from tests.fakes.sign_in import SECRET as SPACES_SECRET
    from tests.fakes.sign_in import SignInHub

    with SignInHub("vera", VISITOR) as hub:
        hub.let_in(HOST, "host")
        app = start(tmp_path, hub, None, HF_TOKEN=HOST, **hub.variables())
        try:
            page = profile(browser).new_page()
            page.goto(app.url)
            page.get_by_role("button", name="Start", exact=True).wait_for()
            own(sharable_run(app.data), page)
            page.reload()
            open_sharing(page)
            page.get_by_role("button", name="Share", exact=True).click()
            expect(page.locator("#share-note")).to_contain_text("You are not signed in", timeout=20_000)
            assert not any(call.path == "/api/repos/create" for call in hub.calls)
            with page.expect_navigation():  # there and back
                page.get_by_role("button", name="Sign in with Hugging Face").click()
            open_sharing(page)
            expect(page.get_by_role("button", name="Sign out (vera)")).to_be_visible()
            page.get_by_role("button", name="Share", exact=True).click()
            expect(page.locator("#share-note a")).to_have_text(re.compile("vera/voicetune-"), timeout=20_000)
            assert accessibility_faults(page) == []
            assert {call.token for call in hub.calls} == {"", VISITOR}  # never the host's
            assert hub.asked_scopes == ["openid", "profile", "contribute-repos"]
            stranger = profile(browser).new_page()
            stranger.goto(app.url)
            open_sharing(stranger)
            expect(stranger.get_by_role("button", name="Share", exact=True)).to_be_disabled()
            expect(stranger.locator("#share-note")).to_have_text("There is nothing to share yet.")
            assert [path for path in canaries(app) if "process" not in path] == []
        finally:
            app.stop()
    assert "canary" not in app.log.read_text() and SPACES_SECRET not in app.log.read_text()


def test_a_space_without_sign_in_says_so(hub: WritableHub, browser: Browser, tmp_path: Path) -> None:
    app = start(tmp_path, hub, HOST, SPACE_ID="someone/voicetune")
    try:
        page = profile(browser).new_page()
        page.goto(app.url)
        page.get_by_role("button", name="Start", exact=True).wait_for()
        own(sharable_run(app.data), page)
        page.reload()
        open_sharing(page)
        expect(page.locator("#sharing")).to_contain_text("Visitors cannot sign in on this Space")
        expect(page.get_by_role("button", name="Share", exact=True)).to_be_disabled()
        assert page.get_by_role("button", name="Sign in").count() == 0
        assert {call.token for call in hub.calls} == {""}
    finally:
        app.stop()


def test_a_models_page_shows_its_curves_and_runs_nothing_of_a_transcript(browser: Browser, tmp_path: Path) -> None:
    run = sharable_run(tmp_path / "data")
    evil = "<script>window.evil = 1</script><img src=x onerror='window.evil = 1'> | `${evil}` [x](javascript:evil)"
    lines = [json.loads(line) for line in run.events.read_text().splitlines()]
    for event in lines:
        for guess in event.get("guesses", [])[:1]:
            guess |= {"reference": evil, "hypothesis": f"---\n# {evil}"}
    run.events.write_text("".join(json.dumps(event) + "\n" for event in lines))
    view = view_of(run)
    card = next(
        part.content
        for part in parts_of(
            run, PublishOptions("my-model"), "anna/my-model", "https://huggingface.co", picture(view, EN)
        )
        if part.name == "README.md"
    )
    assert isinstance(card, bytes)
    (tmp_path / "curves.png").write_bytes(picture(view, EN))
    page = browser.new_page(viewport={"width": 900, "height": 900})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_card(page, card.decode(), tmp_path)
    shoot(page, "model-card")
    assert page.evaluate("window.evil") is None
    assert page.evaluate("[...document.images].map((image) => image.naturalWidth)") == [1500]
    assert {url.rpartition("/")[2] for url in asked} == {"card.html", "curves.png"}
    assert page.locator("tbody").nth(1).locator("tr").count() == 5 and page.locator("h1").count() == 1
    assert evil in page.locator("tbody").nth(1).inner_text()
    page.close()


def own(run: Run, page: Page) -> None:
    """Make a run this page's visitor's."""
    from trainer.settings import Settings
    from trainer.ui.visitors import owner_of, secret_in

    secret = secret_in({cookie["name"]: cookie["value"] for cookie in page.context.cookies(page.url)})
    config = json.loads((run.folder / "config.json").read_text())
    owner = owner_of(secret, Settings(data_dir=run.folder, on_space=True))
    (run.folder / "config.json").write_text(json.dumps({**config, "owner": owner}))
