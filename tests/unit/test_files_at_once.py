"""Several recordings at once: each is told apart, one that fails holds up none, and all texts come in one zip."""

import asyncio
import io
import zipfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.fakes.asynchronous import run_in_time
from trainer.errors import UserError
from trainer.models.decoding import Word
from trainer.settings import Settings
from trainer.transcription.transcribe import Transcript
from trainer.ui.newest import Failed
from trainer.ui.recordings import Recordings
from trainer.ui.several_files_panel import MOST_FILES, Heard, SeveralFilesHandlers, several_html, zip_of
from trainer.ui.transcribe_handlers import TranscribeHandlers


def said(text: str) -> Transcript:
    words = tuple(Word(word, number * 0.5, number * 0.5 + 0.4, 0.9) for number, word in enumerate(text.split()))
    return Transcript(text, words, 3.0, 0.1, "m", text)


def test_a_zip_has_every_kind_of_each_and_no_name_twice_or_elsewhere() -> None:
    heard = [("talk.wav", said("a")), ("Talk.mp3", said("b")), ("../up.wav", said("c")), (".wav", said("d"))]
    names = zipfile.ZipFile(io.BytesIO(zip_of(heard))).namelist()
    assert len({name.lower() for name in names}) == len(names) == 20
    assert {"talk.srt", "Talk (2).srt", "up.json", ".wav.txt"} <= set(names)
    assert not [name for name in names if "/" in name or "\\" in name]
    assert zipfile.ZipFile(io.BytesIO(zip_of(heard))).read("Talk (2).txt") == b"b\n"


def test_what_is_shown_of_them() -> None:
    files = [
        Heard("<b>.wav", said("a <i>")),
        Heard("no.wav", Failed(UserError("No sound.", "Try another."))),
        Heard("c"),
    ]
    going = several_html(files)
    assert (
        "3 of 3 · c: Listening" in going and "stop-hearing" in going and "<i>" not in going and "<b>.wav" not in going
    )
    assert "No sound. Try another." in going and "zip" not in going
    stopped = several_html(files, stopped=True)
    assert "Stopped: 1 of 3 written down." in stopped and "not heard" in stopped and "data:application/zip" in stopped
    done = several_html(files[:2])
    assert "Done: 1 of 2 written down." in done and "stop-hearing" not in done
    assert "zip" not in several_html(files[1:2])


class Service:
    """Writes down a file's own words; one that is called so breaks off, another one never ends."""

    async def transcribe(self, owner: str, choice: str, path: str, listening: Any) -> AsyncGenerator[Transcript, None]:
        if "broken" in path:
            raise UserError("There is no sound in it.", "Try another one.")
        if "endless" in path:
            await asyncio.sleep(60)
        yield said(Path(path).read_text())


@pytest.fixture
def handlers(tmp_path: Path) -> SeveralFilesHandlers:
    tab = TranscribeHandlers(Settings(data_dir=tmp_path), Service(), Recordings(tmp_path / "sent"))  # type: ignore[arg-type]
    return SeveralFilesHandlers(tab)


def put(folder: Path, *names: str) -> list[str]:
    paths = []
    for number, name in enumerate(names):
        path = folder / "sent" / str(number) / name
        path.parent.mkdir(parents=True)
        path.write_text(f"words of {number}")
        paths.append(str(path))
    return paths


def request() -> gr.Request:
    return gr.Request(session_hash="page", headers={}, cookies={})


async def heard(handlers: SeveralFilesHandlers, paths: list[str], stop_at: str = "") -> list[str]:
    shown = []
    async for html, _ in handlers.hear_several("ready:en", paths, "", True, None, request()):
        if isinstance(html, str):
            shown.append(html)
            if stop_at and stop_at in html:
                handlers.tab.stop_hearing(next(iter(handlers.tab.several._works)))
    return shown


def test_one_that_fails_holds_up_none(handlers: SeveralFilesHandlers, tmp_path: Path) -> None:
    paths = put(tmp_path, "a.wav", "broken.wav", "c.wav")
    *_, last = run_in_time(heard(handlers, paths))
    assert "Done: 2 of 3 written down." in last and "There is no sound in it. Try another one." in last
    assert "words of 0" in last and "words of 2" in last


def test_stop_keeps_those_that_are_done(handlers: SeveralFilesHandlers, tmp_path: Path) -> None:
    paths = put(tmp_path, "a.wav", "endless.wav", "c.wav")
    *_, last = run_in_time(heard(handlers, paths, stop_at="words of 0"))
    assert "Stopped: 1 of 3 written down." in last and "words of 0" in last and "words of 2" not in last


def test_only_what_was_sent_is_heard_and_no_more_than_so_many(handlers: SeveralFilesHandlers, tmp_path: Path) -> None:
    mine = tmp_path / "secret.txt"
    mine.write_text("secret words")
    paths = put(tmp_path, *[f"{number}.wav" for number in range(MOST_FILES + 3)])
    *_, last = run_in_time(heard(handlers, [str(mine), *paths]))
    assert "secret" not in last and f"{MOST_FILES - 1} of {MOST_FILES - 1} written down" in last
