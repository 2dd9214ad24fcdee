"""How a Whisper is made to write: from which tokens it begins, which it may not write, and which of its attention heads
tell when a word was said. Everything is a number from its files, and within bounds before anything is built of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.errors import UserError
from trainer.hub.safe_json import CONFIG_BYTES, ELSEWHERE, read_json
from trainer.models.frames import HOP, WHISPER_STRIDE
from trainer.models.model_config import ModelConfig
from trainer.models.subwords import Subwords, read_subwords

ENGLISH_ONLY = 51_864  # tokens of the published models that know English alone; the others have one more, or two
# What a decoder may be at least and at most, and what it is where config.json does not say.
_DECODER = {
    "decoder_layers": (1, 96, 4),
    "decoder_attention_heads": (1, 128, 6),
    "decoder_ffn_dim": (1, 32_768, 1536),
    "max_source_positions": (20, 3000, 1500),  # frames of 20 ms; all published ones hear 30 s
    "max_target_positions": (8, 4096, 448),
    "vocab_size": (8, 100_000, 51_865),
}
_START, _END, _WRITE, _PLAIN = "<|startoftranscript|>", "<|endoftext|>", "<|transcribe|>", "<|notimestamps|>"
_NOTHING_SAID = ("<|nospeech|>", "<|nocaptions|>")
_NAMES = {"decoder_start_token_id": _START, "eos_token_id": _END, "no_timestamps_token_id": _PLAIN}
MOST_SUPPRESSED = 10_000  # a real list has some ninety
Head = tuple[int, int]  # a layer of the decoder and a head in it


@dataclass(frozen=True)
class DecodingRules:
    """`window` samples at 16 kHz are heard at once; `positions` are the most tokens of one window, prompt and all.

    `start`, `end`, `write`, `plain`, `nothing`: ids of special tokens, None where it has none. `languages` are those of
    languages by code, none where it knows one alone; `own_language` is the code that its files set it to. `silent` may
    never be written, `silent_first` not as the first. `heads` follow what is being said.
    """

    subwords: Subwords
    window: int
    positions: int
    start: int
    end: int
    plain: int
    write: int | None
    nothing: int | None
    languages: Mapping[str, int]
    own_language: str | None
    silent: tuple[int, ...]
    silent_first: tuple[int, ...]
    heads: tuple[Head, ...]

    def prompt(self, language: str | None) -> list[int]:
        """What it is given to go on from. `language` is one of `languages`, None where it knows one alone."""
        spoken = [self.languages[language]] if language is not None else []
        task = [self.write] if spoken and self.write is not None else []
        return [self.start, *spoken, *task, self.plain]


def read_rules(folder: Path, config: ModelConfig) -> DecodingRules:
    """Of a Whisper's folder. Raises UserError where its files do not say what is needed, or what cannot be."""
    sizes = {name: _size(config.values.get(name), name, *bounds) for name, bounds in _DECODER.items()}
    vocabulary, layers = sizes["vocab_size"], sizes["decoder_layers"]
    generation = read_json(folder, "generation_config.json", CONFIG_BYTES) or {}
    said = {**config.values, **generation}  # older ones say all in config.json
    subwords = read_subwords(folder, vocabulary)
    special = {name: _token(generation.get(key), key, vocabulary) for key, name in _NAMES.items()}
    special = {name: subwords.ids.get(name, given) for name, given in special.items()}
    start, end, plain = (_needed(special[name]) for name in (_START, _END, _PLAIN))
    if len({start, end, plain}) < 3:
        raise _unclear()
    known = set(subwords.ids.values())
    if unnamed := sum(number not in known for number in range(min(plain, start))):
        raise UserError(
            f"This model writes with {vocabulary} pieces of words, and its files do not say what {unnamed} of them "
            "are.",
            ELSEWHERE,
        )
    languages = subwords.languages if _is_multilingual(generation, vocabulary) else {}
    return DecodingRules(
        subwords=subwords,
        window=sizes["max_source_positions"] * WHISPER_STRIDE * HOP,
        positions=sizes["max_target_positions"],
        start=start,
        end=end,
        plain=plain,
        write=subwords.ids.get(_WRITE),
        nothing=next((subwords.ids[name] for name in _NOTHING_SAID if name in subwords.ids), None),
        languages=languages,
        own_language=_own_language(generation, said, languages),
        silent=_tokens(said.get("suppress_tokens"), "suppress_tokens", vocabulary),
        silent_first=_tokens(said.get("begin_suppress_tokens"), "begin_suppress_tokens", vocabulary),
        heads=_heads(generation.get("alignment_heads"), layers, sizes["decoder_attention_heads"]),
    )


def _size(value: Any, name: str, least: int, most: int, usual: int) -> int:
    if value is None:
        return usual
    if type(value) is not int or not least <= value <= most:
        raise UserError(f"This model's config.json has a {name} that no real model has.", ELSEWHERE)
    return value


def _token(value: Any, name: str, vocabulary: int) -> int | None:
    """The id of one token; the first of a list, where several end a text."""
    if isinstance(value, list) and value:
        value = value[0]
    if value is None:
        return None
    if type(value) is not int or not 0 <= value < vocabulary:
        raise _no_token(name)
    return value


def _tokens(value: Any, name: str, vocabulary: int) -> tuple[int, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MOST_SUPPRESSED:
        raise _no_token(name)
    if not all(type(token) is int and 0 <= token < vocabulary for token in value):
        raise _no_token(name)
    return tuple(value)


def _needed(token: int | None) -> int:
    if token is None:
        raise _unclear()
    return token


def _is_multilingual(generation: Mapping[str, Any], vocabulary: int) -> bool:
    told = generation.get("is_multilingual")
    return told if isinstance(told, bool) else vocabulary != ENGLISH_ONLY


def _own_language(generation: Mapping[str, Any], said: Mapping[str, Any], languages: Mapping[str, int]) -> str | None:
    """What it was fine-tuned for, as newer and as older files say it."""
    named = generation.get("language")
    if isinstance(named, str) and named.strip("<|>") in languages:
        return named.strip("<|>")
    forced = said.get("forced_decoder_ids")
    pairs = [pair for pair in forced if isinstance(pair, list)] if isinstance(forced, list) else []
    first = next((pair[1] for pair in pairs if len(pair) == 2 and pair[0] == 1), None)
    return next((code for code, number in languages.items() if number == first and type(first) is int), None)


def _heads(value: Any, layers: int, heads: int) -> tuple[Head, ...]:
    """Those that are named, else all of the upper half of the layers, as OpenAI's program takes them."""
    if value is None:
        return tuple((layer, head) for layer in range(layers // 2, layers) for head in range(heads))
    pairs = [tuple(pair) for pair in value if isinstance(pair, list)] if isinstance(value, list) else []
    sound = all(
        len(pair) == 2
        and all(type(number) is int for number in pair)
        and pair[0] in range(layers)
        and pair[1] in range(heads)
        for pair in pairs
    )
    if not pairs or not sound or len(pairs) != len(value) or len(pairs) > layers * heads:
        raise UserError("This model's generation_config.json names attention heads that it does not have.", ELSEWHERE)
    return tuple((int(layer), int(head)) for layer, head in pairs)


def _no_token(name: str) -> UserError:
    return UserError(f"This model's files give a {name} that is none of its tokens.", ELSEWHERE)


def _unclear() -> UserError:
    return UserError("This model's files do not say with which tokens its texts begin and end.", ELSEWHERE)
