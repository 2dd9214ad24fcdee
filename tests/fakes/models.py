"""Tiny real models: random weights in the layout of a published base."""

from pathlib import Path

import torch
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC


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


def save_answering(folder: Path, letter: str) -> Path:
    """A model that answers any sound with one letter, in place of what lies in the folder."""
    from trainer.models.loading import open_base
    from trainer.models.vocabulary import Vocabulary
    from trainer.settings import STARTER

    checkpoint = open_base(STARTER, Vocabulary({"[PAD]": 0, "[UNK]": 1, "|": 2, letter: 3}), {}, keep_head=False)
    checkpoint.model.lm_head.bias.data[3] = 1000.0
    checkpoint.save(folder, {})
    return folder
