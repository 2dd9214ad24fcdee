"""A first visit with a clock: from `python app.py` to one's own model writing down what was said.

    python -m tests.benchmarks.first_visit [--screenshots FOLDER]
    python -m tests.benchmarks.first_visit --clip ../shared/speech/multilang/en/jfk.flac

A fresh data folder, no Hub, and a real Chromium whose microphone says a practice clip of the test split, or a recording
of a person, which the practice model hears before the training too. Prints the seconds and the clicks to each stage,
and what was said and heard. With screenshots (1280 and 390 pixels wide, light and dark) the later times are a few
seconds longer.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.app.browsing import clicks, count_clicks, launch, picture, profile, save_sound, save_voice
from tests.app.serving import start_app
from trainer.speech.audio import load_audio

CLOSED = "http://127.0.0.1:9"  # the discard port: nothing listens, so there is no Hub
MOST_MS = 1_800_000
SECONDS_TO_STOP = 1.0  # from the last word to the click
SIZES = {1280: 900, 390: 844}


@dataclass
class Diary:
    """When each stage was reached, in seconds since the app was started, and after how many clicks."""

    page: Page
    began: float
    screenshots: Path | None
    stages: list[tuple[str, float, int]] = field(default_factory=list)

    def reached(self, stage: str) -> None:
        """Note it, then take its pictures."""
        self.stages.append((stage, time.perf_counter() - self.began, clicks(self.page)))

    def pictures(self, name: str) -> None:
        """In both widths and themes, where they are wanted."""
        if self.screenshots is None:
            return
        for width, height in SIZES.items():
            self.page.set_viewport_size({"width": width, "height": height})
            for dark in (False, True):
                self.page.emulate_media(color_scheme="dark" if dark else "light")
                self.page.wait_for_timeout(500)  # colours fade, and what wraps settles
                picture(self.page, self.screenshots / f"{name}-{width}-{'dark' if dark else 'light'}.png")
        self.page.set_viewport_size({"width": 1280, "height": SIZES[1280]})
        self.page.emulate_media(color_scheme="light")

    def table(self) -> str:
        """A line a stage."""
        lines = [f"{'stage':<24}{'seconds':>9}{'since the last':>16}{'clicks':>8}"]
        before = 0.0
        for stage, seconds, count in self.stages:
            lines.append(f"{stage:<24}{seconds:>9.1f}{seconds - before:>16.1f}{count:>8}")
            before = seconds
        return "\n".join(lines)


def talk(diary: Diary, button: str, model: str, voice_seconds: float) -> str:
    """Press what begins to listen, wait for the voice to end, stop; returns what the model of this name heard."""
    page = diary.page
    page.get_by_role("button", name=button, exact=True).click()
    stop = page.locator("#microphone .stop-button:visible")
    stop.wait_for()
    diary.reached("it listens")
    page.wait_for_timeout(1000 * (voice_seconds + SECONDS_TO_STOP))
    stop.click()
    page.locator(".transcript-details", has_text=model).wait_for(timeout=MOST_MS)
    diary.reached("written down")
    return page.locator("#transcript").inner_text()


def talk_first(diary: Diary, voice_seconds: float) -> str:
    """What the practice model hears before anything was taught."""
    page = diary.page
    page.get_by_role("button", name="Start", exact=True).wait_for()
    diary.reached("first page drawn")
    page.get_by_role("tab", name="Transcribe").click()
    heard = talk(diary, "Record", "practice model", voice_seconds)
    page.get_by_role("tab", name="Fine-tune").click()
    return heard


def train(diary: Diary) -> str:
    """Start and watch; returns what came of the training."""
    page = diary.page
    page.get_by_role("button", name="Start", exact=True).wait_for()
    diary.reached("Start in sight")
    if diary.screenshots:
        page.get_by_role("button", name="Play:").first.wait_for()
    diary.pictures("first-page")
    page.get_by_role("button", name="Start", exact=True).click()
    diary.reached("Start pressed")
    page.locator("#learning tbody tr").first.wait_for(timeout=MOST_MS)
    diary.reached("first check shown")
    page.locator("#rates .mark.first").nth(4).wait_for(timeout=MOST_MS)
    diary.pictures("training")
    page.locator("#status .over").wait_for(timeout=MOST_MS)
    diary.reached("trained")
    diary.pictures("finished")
    return page.locator("#status .result").inner_text()


def main() -> None:
    """One visit."""
    import soundfile

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--screenshots", type=Path, metavar="FOLDER", help="where to put pictures of each stage")
    parser.add_argument("--clip", type=Path, metavar="FILE", help="what the microphone says, before and after")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, sync_playwright() as playwright:
        voice, before = Path(folder) / "voice.wav", ""
        if chosen.clip:
            said = chosen.clip.name
            save_sound(load_audio(chosen.clip.read_bytes()).samples, voice)
        else:
            said = save_voice(voice)
        seconds = soundfile.info(voice).duration
        browser = launch(playwright, voice)
        page = profile(browser).new_page()
        count_clicks(page)
        began = time.perf_counter()
        app = start_app(Path(folder), HF_ENDPOINT=CLOSED, HF_HUB_OFFLINE="0")
        try:
            diary = Diary(page, began, chosen.screenshots)
            page.goto(app.url)
            if chosen.clip:
                before = talk_first(diary, seconds)
            result = train(diary)
            heard = talk(diary, "Talk to your model", "your model", seconds)
            diary.pictures("transcript")
        finally:
            app.stop()
            browser.close()
    print(f"{diary.table()}\n\n{result}\nsaid:   {said}\nbefore: {before or 'not asked'}\nheard:  {heard}")


if __name__ == "__main__":
    main()
