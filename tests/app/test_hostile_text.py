"""Text that would be markup, in every place where text of visitors, files and the Hub is shown: it stays text."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.app.conftest import Visit
from tests.app.serving import App
from tests.fakes.models import save_answering
from tests.fakes.run_folder import beep, write_run
from trainer.runs.events import EventLog
from trainer.runs.run import Run

pytestmark = pytest.mark.timeout(300)
PATIENCE_MS = 120_000

# Each would set window.hacked, or leave a node with the class "injected", where it is taken for markup.
PAYLOADS = [
    '<img class="injected" src="data:," onerror="window.hacked=1">',
    '<script class="injected">window.hacked=1</script>',
    '<svg class="injected" onload="window.hacked=1"></svg>',
    '"><b class="injected" onmouseover="window.hacked=1">x</b>',
    "'><i class='injected' autofocus onfocus='window.hacked=1' tabindex=0>x</i>",
    '</td></tr></table><u class="injected">x</u>',
    '<a class="injected" href="javascript:window.hacked=1">x</a>',
    '<iframe class="injected" srcdoc="<script>parent.hacked=1</script>"></iframe>',
    "${window.hacked=1} {{window.hacked=1}} `${window.hacked=1}`",
    '&lt;img class="injected" src=x onerror="window.hacked=1"&gt;',
    "<details class='injected' open ontoggle='window.hacked=1'>x</details>",
    '[x](javascript:window.hacked=1) ![x](x"onerror="window.hacked=1) <style class="injected">*{}</style>',
]
ALL = " ".join(PAYLOADS)


def unharmed(page: Page) -> None:
    page.wait_for_timeout(300)  # handlers of images and toggles run later
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.querySelectorAll('.injected').length") == 0


def tell_all(run: Run) -> None:
    """Every field of an event that a page shows."""
    log = EventLog(run.events)
    log.append("data", source=ALL, note=ALL, train_clips=1, test_clips=1, train_seconds=1.0, test_seconds=1.0,
               left_out=dict.fromkeys(PAYLOADS, 1))  # fmt: skip
    log.append("note", text=ALL)
    guesses = [{"clip": n, "reference": text, "hypothesis": text[::2]} for n, text in enumerate(PAYLOADS)]
    log.append("evaluated", step=300, loss=0.1, wer=0.1, cer=0.1, guesses=guesses)
    log.append("failed", what=ALL, todo=ALL)
    log.close()


def test_what_a_run_tells(app: App, visit: Visit) -> None:
    tell_all(write_run(app.data, end="none"))
    page = visit(tolerate="AbortError|errored out").open(app.url)  # the reload cuts a look at the data short
    expect(page.locator("#learning .said")).to_have_text(PAYLOADS)
    expect(page.locator("#status")).to_contain_text(PAYLOADS[0])
    expect(page.locator("#run-notes")).to_contain_text(PAYLOADS[1])
    unharmed(page)
    page.reload()
    expect(page.locator("#status")).to_contain_text(PAYLOADS[0])
    unharmed(page)


def test_file_names_and_what_was_heard(app: App, visit: Visit, tmp_path: Path) -> None:
    save_answering(write_run(app.data).model, "&")
    page = visit().open(app.url)
    page.get_by_role("tab", name="Transcribe").click()
    expect(page.get_by_label("Model", exact=True)).to_have_value(re.compile("Your newest model"))
    for number, payload in enumerate(PAYLOADS[:3]):
        file = tmp_path / (payload.replace("/", "∕") + ".wav")  # a name may hold anything else
        file.write_bytes(beep(0.5, 440))
        if not number:
            page.get_by_role("button", name="Upload file").click()
        page.locator("#microphone input[type=file]").set_input_files(file)
        expect(page.locator("#transcript")).to_have_text("&", timeout=PATIENCE_MS)
        unharmed(page)


def test_names_of_models(app: App, visit: Visit, tmp_path: Path) -> None:
    sound = tmp_path / "a.wav"
    sound.write_bytes(beep(0.5, 440))
    page = visit(tolerate="Failed to load resource").open(app.url)
    page.get_by_role("tab", name="Transcribe").click()
    model = page.get_by_label("Model", exact=True)
    for number, payload in enumerate((PAYLOADS[0], PAYLOADS[4])):
        model.fill(payload)
        model.press("Enter")
        if not number:
            page.get_by_role("button", name="Upload file").click()
        page.locator("#microphone input[type=file]").set_input_files(sound)
        expect(page.locator("#result .problem")).to_be_visible(timeout=PATIENCE_MS)
        unharmed(page)
    page.get_by_role("tab", name="Fine-tune").click()
    page.locator("#model-choice > button").click()
    base = page.get_by_label("Base model")
    for payload in PAYLOADS[:4]:
        base.fill(payload)
        base.press("Enter")
        expect(page.locator("#base-card")).to_contain_text("is not the id of a model")
        expect(page.get_by_role("button", name="Start", exact=True)).to_be_disabled()  # the Hub is out of reach
        unharmed(page)
    page.get_by_role("button", name="Advanced").click()
    page.get_by_role("radio", name="My own folder").check()
    folder = page.get_by_label("Folder with your recordings")
    folder.fill(ALL)
    folder.press("Enter")
    expect(page.locator("#data-card .problem")).to_be_visible()
    unharmed(page)
