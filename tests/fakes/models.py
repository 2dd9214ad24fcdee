"""Tiny real models: random weights in the layout of a published base."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import save_file
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2ForCTC,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from tests.fakes.tiny_models import save_tiny
from trainer.models.model_files import ModelFiles, read_model
from trainer.settings import Settings


def files_in(folder: Path) -> ModelFiles:
    """A model's folder, looked at, with the memory that it may usually take."""
    return read_model(folder, Settings.max_load_bytes)


def save_tiny_base(folder: Path, norm: str = "group", vocab_size: int = 32) -> Path:
    """A Wav2Vec2 with 16 hidden units and the usual front end (a frame each 20 ms), without a vocabulary."""
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(8, 8, 8, 8, 8, 8, 8),
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        feat_extract_norm=norm,
        do_stable_layer_norm=norm == "layer",
        vocab_size=vocab_size,
    )
    Wav2Vec2ForCTC(config).save_pretrained(folder)
    return folder


def save_tiny_whisper(folder: Path, sharded: bool = False, prefix: str = "model.") -> Path:
    """A Whisper as it is published, encoder and decoder, of 16 hidden units; `sharded`: its decoder in a file apart.

    `prefix` of the encoder's and decoder's names: "" where the body alone was saved.
    """
    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=16,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=32,
        vocab_size=60,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=3,
        init_std=0.1,
        architectures=["WhisperForConditionalGeneration"],
    )
    state = {
        name.replace("model.", prefix, 1): weight.clone()
        for name, weight in WhisperForConditionalGeneration(config).state_dict().items()
    }
    config.save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({f"Ġpiece{number}": number for number in range(50)}))
    tokens = {"tokenizer_class": "WhisperTokenizer", "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokens))
    save_weights(folder, state, sharded)
    return folder


def save_weights(folder: Path, state: dict[str, torch.Tensor], sharded: bool) -> None:
    """A Whisper's, in one file, or the decoder's in a file apart."""
    if not sharded:
        save_file(state, folder / "model.safetensors")
        return
    where = {name: f"model-0000{1 if '.encoder.' in name else 2}-of-00002.safetensors" for name in state}
    for file in set(where.values()):
        save_file({name: state[name] for name in state if where[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))


def save_tiny_encoder(folder: Path, layers: int = 3) -> Path:
    """A Whisper encoder of so many layers with 16 hidden units and a head of one convolution, without a vocabulary.

    Its weights are so large that no layer leaves what it hears as it was.
    """
    save_tiny("whisper_ctc", folder, encoder_layers=layers, initializer_range=0.3)
    return folder


def save_answering(folder: Path, letter: str) -> Path:
    """A model that answers any sound with one letter, in place of what lies in the folder."""
    from trainer.models.ctc_model import open_base
    from trainer.models.vocabulary import Vocabulary

    vocabulary = Vocabulary({"[PAD]": 0, "[UNK]": 1, "|": 2, letter: 3})
    with TemporaryDirectory() as base:
        checkpoint = open_base(files_in(save_tiny_base(Path(base))), vocabulary, {}, keep_head=False)
    checkpoint.model.lm_head.bias.data[3] = 1000.0
    checkpoint.save(folder, {})
    return folder
