"""What visitors upload goes, by itself and in time; a page's last recording stays with it, and with it alone."""

import os
import time
from pathlib import Path

import pytest

from trainer.settings import Settings
from trainer.ui import recordings
from trainer.ui.recordings import (
    DOWNLOAD,
    MOST_KEPT_OF_VISITOR,
    SECONDS_BETWEEN_SWEEPS,
    SECONDS_KEPT_ON_SPACE,
    SECONDS_UNFETCHED,
    SECONDS_UNTIL_GONE,
    SECONDS_UNUSED,
    SECONDS_WITHOUT_PAGE,
    Recordings,
    how_long_kept,
)
from trainer.ui.transcribe_tab import below_microphone
from trainer.ui.visitors import OpenPage

ANNA, BEN = OpenPage("anna", "page1"), OpenPage("ben", "page2")


def put(path: Path, seconds_ago: float) -> Path:
    """A file that was written so long ago."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"RIFF")
    os.utime(path, (time.time() - seconds_ago,) * 2)
    return path


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """From here on it is so much later."""
    wall, steady = time.time() + seconds, time.monotonic() + seconds
    monkeypatch.setattr(recordings.time, "time", lambda: wall)
    monkeypatch.setattr(recordings.time, "monotonic", lambda: steady)


def test_uploads_that_nobody_uses_go_within_a_minute_and_new_ones_stay(tmp_path: Path) -> None:
    assert SECONDS_UNUSED + SECONDS_BETWEEN_SWEEPS < 60
    put(tmp_path / "old" / "voice.wav", SECONDS_UNUSED + 1)
    put(tmp_path / "tmp1234", SECONDS_UNUSED + 1)  # an upload that was broken off
    new = put(tmp_path / "new" / "voice.wav", SECONDS_UNUSED - 5)
    Recordings(tmp_path).sweep()
    assert list(tmp_path.iterdir()) == [new.parent]


def test_a_download_waits_longer_than_an_upload(tmp_path: Path) -> None:
    download = put(tmp_path / f"{DOWNLOAD}abc" / "model.zip", SECONDS_UNUSED + 60)
    put(tmp_path / "abc" / "model.zip", SECONDS_UNUSED + 60)
    Recordings(tmp_path).sweep()
    assert list(tmp_path.iterdir()) == [download.parent]


def test_the_folder_in_which_a_download_is_made_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty until the first file is written, which takes as long as torch does."""
    made_in = tmp_path / f"{DOWNLOAD}abc" / "scratch" / "onnx"
    made_in.mkdir(parents=True)
    Recordings(tmp_path).sweep()
    assert made_in.is_dir()
    later(monkeypatch, SECONDS_UNFETCHED + 1)
    Recordings(tmp_path).sweep()
    assert not made_in.exists()


def test_a_recording_goes_after_its_last_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two visitors may send the same file, which then is one file; and the line may be long."""
    voice, kept = put(tmp_path / "voice.wav", SECONDS_UNUSED + 60), Recordings(tmp_path)
    with kept.held(str(voice)):
        with kept.held(str(voice)):
            pass
        kept.sweep()
        assert voice.exists()
    kept.sweep()
    assert voice.exists(), "another visitor's copy may have arrived just now"
    later(monkeypatch, SECONDS_UNTIL_GONE + 1)
    kept.sweep()
    assert not voice.exists()


def test_a_recording_that_is_gone_is_no_error(tmp_path: Path) -> None:
    with Recordings(tmp_path).held(str(tmp_path / "gone.wav")):
        pass


def test_what_the_page_says_of_recordings_is_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    assert how_long_kept(on_space=False) == (
        "Your last recording is kept while this page is open, and for 1 min after that, to play it and to try other "
        "models. Nobody else can. One that you cancel is deleted within 41 s."
    )
    assert "kept for 10 min after it was heard last, while this page is open, to" in how_long_kept(on_space=True)
    monkeypatch.setattr(recordings, "SECONDS_WITHOUT_PAGE", 119.0)
    monkeypatch.setattr(recordings, "SECONDS_KEPT_ON_SPACE", 1200.0)
    assert "for 2 min after that" in how_long_kept(on_space=False)
    for on_space in (True, False):
        assert how_long_kept(on_space) in below_microphone(Settings(Path("unused"), on_space=on_space))
    assert "for 20 min" in how_long_kept(on_space=True)


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    return put(tmp_path / "anna" / "voice.wav", SECONDS_UNUSED + 60)


def of_a(host: str, folder: Path) -> Recordings:
    return Recordings(folder, Settings(folder, on_space=host == "space"))


@pytest.mark.parametrize("host", ["laptop", "space"])
def test_a_page_s_last_recording_stays_while_it_is_open(
    host: str, tmp_path: Path, voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = of_a(host, tmp_path)
    kept.keep(ANNA, str(voice))
    with kept.held(str(voice)):
        pass
    later(monkeypatch, SECONDS_KEPT_ON_SPACE - 1)
    kept.sweep()
    assert kept.last_of(ANNA) == str(voice) and voice.exists()
    later(monkeypatch, SECONDS_KEPT_ON_SPACE + 1)
    kept.sweep()
    assert voice.exists() == (host == "laptop") or kept.last_of(ANNA), "hearing it again has begun its time anew"
    later(monkeypatch, 3 * SECONDS_KEPT_ON_SPACE)
    kept.sweep()
    assert voice.exists() == (host == "laptop") == (kept.last_of(ANNA) is not None)


def test_it_is_nobody_else_s(tmp_path: Path, voice: Path) -> None:
    kept = of_a("space", tmp_path)
    kept.keep(ANNA, str(voice))
    assert [kept.last_of(page) for page in (BEN, OpenPage("ben", "page1"), OpenPage("anna", "page2"))] == [None] * 3
    kept.forget(OpenPage("ben", "page1"))
    assert kept.last_of(ANNA) and voice.exists()


def test_forgotten_it_is_gone_at_once(tmp_path: Path, voice: Path) -> None:
    kept = of_a("laptop", tmp_path)
    kept.keep(ANNA, str(voice))
    kept.forget(ANNA)
    assert not voice.exists() and kept.last_of(ANNA) is None
    kept.forget(ANNA)  # once more is no error


def test_while_it_is_heard_or_another_s_it_is_forgotten_and_not_deleted(tmp_path: Path, voice: Path) -> None:
    kept = of_a("space", tmp_path)
    for page in (ANNA, BEN):  # both have sent the same file
        kept.keep(page, str(voice))
    kept.forget(ANNA)
    assert voice.exists() and kept.last_of(BEN)
    with kept.held(str(voice)):
        kept.forget(BEN)
        kept.sweep()
        assert voice.exists()
    assert kept.last_of(BEN) is None


def test_it_goes_with_its_page(tmp_path: Path, voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = of_a("laptop", tmp_path)
    kept.keep(ANNA, str(voice))
    kept.page_open = lambda session: False
    kept.sweep()
    assert voice.exists(), "a connection may break for a moment"
    later(monkeypatch, SECONDS_WITHOUT_PAGE + 1)
    kept.sweep()
    assert not voice.exists()


def test_the_next_one_takes_its_place(tmp_path: Path, voice: Path) -> None:
    kept, newer = of_a("laptop", tmp_path), put(tmp_path / "b" / "voice.wav", SECONDS_UNUSED + 1)
    kept.keep(ANNA, str(voice))
    kept.keep(ANNA, str(newer))
    kept.sweep()
    assert not voice.exists() and kept.last_of(ANNA) == str(newer) and newer.exists()


def test_a_visitor_s_pages_and_all_visitors_together_keep_so_much(tmp_path: Path) -> None:
    kept = of_a("space", tmp_path)
    many = [put(tmp_path / str(number) / "voice.wav", SECONDS_UNUSED + 1) for number in range(MOST_KEPT_OF_VISITOR + 1)]
    for number, file in enumerate(many):
        kept.keep(OpenPage("anna", f"page{number}"), str(file))
    assert [file.exists() for file in many] == [False, *[True] * MOST_KEPT_OF_VISITOR]
    small = Recordings(tmp_path, Settings(tmp_path, max_audio_bytes=1))  # ten files of one byte
    others = [put(tmp_path / f"o{number}" / "voice.wav", SECONDS_UNUSED + 1) for number in range(4)]
    for number, file in enumerate(others):
        small.keep(OpenPage(f"visitor{number}", "page"), str(file))
    assert [file.exists() for file in others] == [False, False, True, True], "four bytes each"


def test_no_file_of_the_host_is_kept_or_deleted(tmp_path: Path) -> None:
    folder, mine = tmp_path / "uploads", put(tmp_path / "mine" / "diary.txt", 1000)
    folder.mkdir()
    (folder / "link.wav").symlink_to(mine)
    kept = of_a("space", folder)
    for path in (mine, folder / "link.wav", folder / ".." / "mine" / "diary.txt"):
        kept.keep(ANNA, str(path))
        assert kept.last_of(ANNA) is None
        kept.forget(ANNA)
    assert mine.exists()
