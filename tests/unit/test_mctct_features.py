"""M-CTC-T's feature extractor beside what Transformers 4.57.6 recorded (tests/parity)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor

from tests.parity.mctct_cases import EVERY, RATE, draw_waveform
from tests.parity.mctct_ours import CLOSE, apart, facts
from trainer.models.mctct import MCTCTFeatureExtractor, register

register()


HEARD: dict[str, tuple[list[str], dict[str, Any], slice]] = {
    "single": (["clip"], {}, slice(None)),
    "short": (["short"], {}, slice(None)),
    "two_frames": (["two_frames"], {}, slice(None)),
    "padded": (["clip", "shorter"], {"padding": True}, slice(None, None, 3)),
    "multiple": (
        ["shorter"],
        {"padding": "max_length", "max_length": 75, "pad_to_multiple_of": 16},
        slice(None, None, 3),
    ),
    "truncated": (["clip", "shorter"], {"padding": True, "max_length": 50, "truncation": True}, slice(None, None, 3)),
}


@pytest.mark.parametrize("name", HEARD)
def test_features_are_those_of_the_original(name: str) -> None:
    clips, options, kept = HEARD[name]
    heard = MCTCTFeatureExtractor()([draw_waveform(clip) for clip in clips], sampling_rate=RATE, **options)
    assert apart(heard["input_features"][..., kept], f"features/{name}") < CLOSE
    assert apart(heard["attention_mask"], f"features/{name}/mask") == 0


def test_features_of_eight_seconds_and_of_another_window() -> None:
    heard = MCTCTFeatureExtractor()(draw_waveform("long"), sampling_rate=RATE)
    assert apart(heard["input_features"][:, ::EVERY], "features/long") < CLOSE
    extractor = MCTCTFeatureExtractor(normalize_means=False, normalize_vars=False, win_function="hann_window")
    heard = extractor(draw_waveform("shorter"), sampling_rate=RATE)
    assert apart(heard["input_features"][:, ::EVERY], "features/raw") < CLOSE


def test_the_extractor_takes_what_is_published_and_all_kinds_of_sound(tmp_path: Path) -> None:
    published = {**facts()["extractor"], "processor_class": "MCTCTProcessor"}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(published))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mctct"}))
    extractor = AutoFeatureExtractor.from_pretrained(tmp_path)
    assert isinstance(extractor, MCTCTFeatureExtractor)
    told = json.loads(extractor.to_json_string())
    assert {key: told[key] for key in facts()["extractor"]} == facts()["extractor"]

    clip = draw_waveform("shorter")
    expected = extractor(clip, sampling_rate=RATE, return_tensors="pt")["input_features"]
    same: list[Any] = [clip.astype(np.float64), clip.tolist(), [clip], [clip.tolist()], clip[None]]
    for sound in [*same, torch.from_numpy(clip), [torch.from_numpy(clip)]]:
        heard = extractor(sound, sampling_rate=RATE, return_tensors="pt")
        assert torch.equal(heard["input_features"], expected)
    assert expected.shape == (1, extractor.frames(len(clip)), 80)
    ragged = extractor([clip, clip[:4000]], sampling_rate=RATE)
    assert [item.shape for item in ragged["input_features"]] == [(68, 80), (23, 80)]
    assert "attention_mask" not in extractor(clip, sampling_rate=RATE, return_attention_mask=False)


def test_the_extractor_refuses_what_it_cannot_hear() -> None:
    extractor = MCTCTFeatureExtractor()
    for sound, rate in (
        (np.zeros(399), RATE),
        (np.zeros((1, 2, 800)), RATE),
        (np.zeros(0), RATE),
        (np.zeros(800), 8000),
    ):
        with pytest.raises(ValueError, match=r"must|hears"):
            extractor(sound, sampling_rate=rate)


def test_silence_and_a_single_frame_are_zero_where_they_were_nan() -> None:
    assert facts()["silence_is_nan"]
    extractor = MCTCTFeatureExtractor()
    for sound in (np.zeros(1600), draw_waveform("short")[:400]):
        assert not extractor(sound, sampling_rate=RATE)["input_features"].any()
