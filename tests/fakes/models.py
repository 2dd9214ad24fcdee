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
