"""A tiny Whisper that can be heard with: random weights, a tokenizer of single bytes, a window of two seconds."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

from tests.fakes.models import save_weights

WINDOW = 32_000  # samples at 16 kHz
SPECIAL = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|de|>",
    "<|zh|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)
BYTES = 256
IDS = {name: BYTES + place for place, name in enumerate(SPECIAL)}
LETTERS = "abcdefghijklmnopqrstuvwxyz "


def pieces() -> dict[str, int]:
    """A token a byte, in the alphabet of published vocabularies."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in visible]
    names = {byte: chr(byte) for byte in visible} | {byte: chr(256 + place) for place, byte in enumerate(others)}
    return {names[byte]: byte for byte in range(256)}


def generation_values() -> dict[str, Any]:
    """What generation_config.json says; nothing but lower-case letters and spaces is ever written."""
    return {
        "decoder_start_token_id": IDS["<|startoftranscript|>"],
        "eos_token_id": IDS["<|endoftext|>"],
        "pad_token_id": IDS["<|endoftext|>"],
        "no_timestamps_token_id": IDS["<|notimestamps|>"],
        "is_multilingual": True,
        "lang_to_id": {name: IDS[name] for name in ("<|en|>", "<|de|>", "<|zh|>")},
        "task_to_id": {"transcribe": IDS["<|transcribe|>"], "translate": IDS["<|translate|>"]},
        "suppress_tokens": [
            number
            for number in range(BYTES + len(SPECIAL))
            if number != IDS["<|endoftext|>"] and (number >= BYTES or chr(number) not in LETTERS)
        ],
        "begin_suppress_tokens": [ord(" "), IDS["<|endoftext|>"]],
        "max_length": 40,
        "return_timestamps": False,
    }


def tokenizer_values() -> dict[str, Any]:
    """What tokenizer.json says, as `tokenizers` writes it."""
    added = [
        {
            "id": number,
            "content": name,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for name, number in IDS.items()
    ]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": level,
        "post_processor": None,
        "decoder": level,
        # Real merges look like paths, too.
        "model": {"type": "BPE", "dropout": None, "vocab": pieces(), "merges": [], "byte_fallback": False},
    }


def save_hearing_whisper(folder: Path, sharded: bool = False, older: bool = False, **values: Any) -> Path:
    """It knows English, German and Chinese. `values` are config's. `older`: the tokenizer's files as Transformers 4
    saved them; `sharded`: its decoder in a file apart."""
    torch.manual_seed(1)
    config = WhisperConfig(
        **{
            "d_model": 16,
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
            "decoder_layers": 2,
            "decoder_attention_heads": 2,
            "decoder_ffn_dim": 32,
            "vocab_size": BYTES + len(SPECIAL),
            "max_source_positions": WINDOW // 320,
            "max_target_positions": 40,
            "pad_token_id": IDS["<|endoftext|>"],
            "bos_token_id": IDS["<|endoftext|>"],
            "eos_token_id": IDS["<|endoftext|>"],
            "decoder_start_token_id": IDS["<|startoftranscript|>"],
            "suppress_tokens": None,
            "begin_suppress_tokens": None,
            "init_std": 0.5,
            "architectures": ["WhisperForConditionalGeneration"],
            **values,
        }
    )
    model = WhisperForConditionalGeneration(config)
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    WhisperFeatureExtractor(chunk_length=WINDOW // 16_000).save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps(generation_values()))
    if older:
        (folder / "vocab.json").write_text(json.dumps(pieces()))
        (folder / "added_tokens.json").write_text(json.dumps(IDS))
    else:
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer_values()))
    # Published ones do not hold the output layer, which is that of the tokens.
    state = {name: weight.clone() for name, weight in model.state_dict().items() if name != "proj_out.weight"}
    save_weights(folder, state, sharded)
    return folder
