"""Files of every kind that the decoder takes, chosen and dropped on the page, and what is no sound at all."""

import base64
import re
from pathlib import Path

import av
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.app.conftest import Visit
from tests.app.serving import App
from tests.fakes.models import save_answering
from tests.fakes.run_folder import write_run

PATIENCE_MS = 120_000  # loading torch on a busy machine
RATE = 48_000

# name: container, codec, sample rate, and what browsers call such a file ("": they do not know it).
KINDS = {
    "a.webm": ("webm", "libopus", RATE, "video/webm"),
    "a.mp4": ("mp4", "aac", RATE, "video/mp4"),
    "a.mov": ("mov", "pcm_s16le", RATE, "video/quicktime"),
    "a.mkv": ("matroska", "pcm_s16le", RATE, "video/x-matroska"),
    "a.caf": ("caf", "alac", RATE, ""),
    "a.3gp": ("3gp", "libopencore_amrnb", 8_000, "video/3gpp"),
    "a.amr": ("amr", "libopencore_amrnb", 8_000, "audio/amr"),
    "a.mp2": ("mp2", "mp2", RATE, "audio/mpeg"),
    "a.mp3": ("mp3", "libmp3lame", RATE, "audio/mpeg"),
    "a.aac": ("adts", "aac", RATE, "audio/aac"),
    "a.m4a": ("mp4", "aac", RATE, "audio/x-m4a"),
    "a.aiff": ("aiff", "pcm_s16be", RATE, "audio/aiff"),
    "a.au": ("au", "pcm_s16be", RATE, "audio/basic"),
    "a.avi": ("avi", "pcm_s16le", RATE, "video/avi"),
    "a.opus": ("ogg", "libopus", RATE, ""),
    "a.flac": ("flac", "flac", RATE, "audio/flac"),
    "a.ac3": ("ac3", "ac3", RATE, ""),
    "noending": ("wav", "pcm_s16le", RATE, ""),
}

pytestmark = pytest.mark.timeout(600)


def save(path: Path, container: str, codec: str, rate: int, seconds: float = 1.5) -> None:
    """A tone."""
    tone = (9000 * np.sin(np.arange(int(seconds * rate)) / rate * 2 * np.pi * 300)).astype("<i2")
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
        frame.sample_rate = rate
        resampler = av.AudioResampler(stream.format, "mono", rate, stream.codec_context.frame_size or None)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))


@pytest.fixture
def transcribe(app: App, visit: Visit) -> Page:
    """The tab, with a model that answers any sound with "h". Browsers cannot play all that is decoded here."""
    save_answering(write_run(app.data).model, "h")
    page = visit(tolerate="Waveform load error").open(app.url)
    page.get_by_role("tab", name="Transcribe").click()
    expect(page.get_by_label("Model", exact=True)).to_have_value(re.compile("Your newest model"))
    page.get_by_role("button", name="Upload file").click()
    return page


def drop(page: Page, path: Path, called: str) -> None:
    page.locator("#microphone input[type=file]").evaluate(
        """(input, [data, name, type]) => {
            const file = new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], name, { type });
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(file);
            for (const kind of ["dragenter", "dragover", "drop"])
                input.parentElement.dispatchEvent(
                    new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
        }""",
        [base64.b64encode(path.read_bytes()).decode(), path.name, called],
    )


@pytest.mark.parametrize("how", ["chosen", "dropped"])
def test_a_file_of_each_kind_is_written_down(how: str, transcribe: Page, tmp_path: Path) -> None:
    """Each is of another length, so that its details are its own."""
    picker, details = transcribe.locator("#microphone input[type=file]"), transcribe.locator(".transcript-details")
    seen = "nothing yet"
    for number, (name, (container, codec, rate, called)) in enumerate(KINDS.items()):
        save(tmp_path / name, container, codec, rate, seconds=1.2 + 0.3 * number)
        if how == "chosen":
            picker.set_input_files(tmp_path / name)
        else:
            drop(transcribe, tmp_path / name, called)
        expect(details, name).to_contain_text("of sound", timeout=PATIENCE_MS)
        expect(details, name).not_to_have_text(seen, timeout=PATIENCE_MS)
        expect(transcribe.locator("#transcript"), name).to_have_text("h")
        seen = details.inner_text()
    expect(transcribe.locator(".toast-body")).to_have_count(0)


def test_a_file_without_sound_is_refused_and_the_words_before_it_are_gone(transcribe: Page, tmp_path: Path) -> None:
    save(tmp_path / "a.webm", *KINDS["a.webm"][:3])
    (tmp_path / "none.txt").write_text("no sound")
    picker, words = transcribe.locator("#microphone input[type=file]"), transcribe.locator("#transcript")
    picker.set_input_files(tmp_path / "a.webm")
    expect(words).to_have_text("h", timeout=PATIENCE_MS)
    picker.set_input_files(tmp_path / "none.txt")
    expect(transcribe.locator("#result")).to_contain_text("Choose a WAV", timeout=PATIENCE_MS)
    expect(words).to_have_count(0)


def test_the_file_dialog_offers_every_file(transcribe: Page) -> None:
    with transcribe.expect_file_chooser() as chooser:
        transcribe.get_by_role("button", name=re.compile("Drop an audio file")).click()
    assert chooser.value.element.get_attribute("accept") is None
