"""The real `datasets` client loads MInDS-14 from the fake Hub, so that tests of the data can trust the fake."""

import io
import json
import os
import subprocess
import sys
import wave
from pathlib import Path

from tests.fakes.hub import INTENTS, MINDS14, MINDS14_REVISION, FakeHub, minds14_files
from trainer.speech.locales import LOCALES

# Run in a process of its own: `datasets` reads HF_ENDPOINT and HF_HOME when it is imported.
LOAD = f"""
import json, datasets
splits = datasets.load_dataset({MINDS14!r}, "en-US", revision={MINDS14_REVISION!r}, token=False)
rows = splits["train"].cast_column("audio", datasets.Audio(decode=False))
features = splits["train"].features
print(json.dumps({{
    "splits": list(splits),
    "columns": splits["train"].column_names,
    "rate": features["audio"].sampling_rate,
    "intents": features["intent_class"].names,
    "locales": features["lang_id"].names,
    "rows": [{{**row, "audio": len(row["audio"]["bytes"])}} for row in rows],
}}))
"""


def silence(seconds: float) -> bytes:
    """A WAV file as MInDS-14 has them: 8 kHz, mono, 16 bit."""
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(8000)
        wav.writeframes(b"\0\0" * round(8000 * seconds))
    return file.getvalue()


def load(hub: FakeHub, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_TOKEN": "hf_of_the_host"}
    for name in ("HF_HUB_CACHE", "HF_DATASETS_CACHE", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        environment.pop(name, None)
    return subprocess.run([sys.executable, "-c", LOAD], env=environment, capture_output=True, text=True, timeout=120)


def test_load_dataset_gets_minds14_at_its_pinned_revision(tmp_path: Path) -> None:
    clips = {"I want to open a joint account": silence(0.5), "what is my balance": silence(1.0)}
    with FakeHub() as hub:
        newer = hub.add_dataset(MINDS14, {"README.md": b"moved away"})
        hub.add_dataset(MINDS14, minds14_files("en-US", clips), commit=MINDS14_REVISION, branch="old")
        done = load(hub, tmp_path)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    assert loaded["splits"] == ["train"]
    assert loaded["columns"] == [
        *("path", "audio", "transcription", "english_transcription", "intent_class", "lang_id"),
    ]
    assert loaded["rate"] == 8000
    assert loaded["intents"] == list(INTENTS)
    assert loaded["locales"] == sorted(LOCALES)
    assert [row["transcription"] for row in loaded["rows"]] == list(clips)
    assert [row["audio"] for row in loaded["rows"]] == [len(wav) for wav in clips.values()]
    assert [row["lang_id"] for row in loaded["rows"]] == [sorted(LOCALES).index("en-US")] * 2
    assert loaded["rows"][0]["path"].startswith("en-US~ABROAD/")
    assert {seen.authorization for seen in hub.requests} == {None}
    assert not any(newer in seen.path for seen in hub.requests)


def test_load_dataset_fails_on_a_revision_that_is_not_there(tmp_path: Path) -> None:
    with FakeHub() as hub:
        hub.add_dataset(MINDS14, minds14_files("en-US", {"hello": silence(0.5)}))
        done = load(hub, tmp_path)
    assert done.returncode != 0
    assert "DatasetNotFoundError" in done.stderr
