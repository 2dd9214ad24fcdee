"""A Whisper of the Hub heard with as it is: its encoder hears up to 30 s at once, its decoder writes token by token.

What it writes is bounded by its positions and by the sound's length, and a text that goes round in circles, as such
decoders' do over music or noise, is ended where the circle begins.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import (
    GenerationConfig,
    GenerationMixin,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
    SuppressTokensAtBeginLogitsProcessor,
    SuppressTokensLogitsProcessor,
    WhisperFeatureExtractor,
)

from trainer.hub.cache import release
from trainer.models.build import load
from trainer.models.ctc_model import FEATURE_EXTRACTORS, check_saved, read_saved
from trainer.models.decoding import Word, joined
from trainer.models.frames import HOP, WHISPER_STRIDE
from trainer.models.inference import HeardPiece
from trainer.models.model_files import ModelFiles
from trainer.models.recognizer import NO_HINTS, Hints
from trainer.models.seq2seq_rules import DecodingRules, read_rules
from trainer.models.word_times import WrittenToken, follow, words_of_units
from trainer.speech.audio import SAMPLE_RATE
from trainer.speech.pauses import Piece, cut

STRIDE = HOP * WHISPER_STRIDE  # samples to a frame of the encoder: 20 ms
# Tokens of a piece: some, and more a second. Whisper's own bound is 15 a second of its 30; the fastest speech in the
# languages that take most of them stays below 25.
SPARE_TOKENS, TOKENS_A_SECOND = 16, 25
LONGEST_CIRCLE, ROUNDS, TOKENS_OF_ROUNDS = 24, 6, 30  # tokens of one, how often at least, and how many in all
# As OpenAI's program decides it: both together mean that nothing was said.
LIKELY_NOTHING, UNLIKELY_TEXT = 0.6, -1.0  # a probability, and a mean logarithm of one


@dataclass(frozen=True)
class _Heard:
    """One piece: its text, and its words with times from the start of the recording."""

    text: str
    words: tuple[Word, ...]


class Seq2SeqRecognizer:
    """Used by one thread at a time."""

    def __init__(self, model: Any, rules: DecodingRules, extractor: WhisperFeatureExtractor) -> None:
        self._model, self._rules, self._extractor = model, rules, extractor

    def to(self, device: str) -> None:
        """As of `Recognizer`."""
        self._model.to(device)

    @property
    def bytes(self) -> int:
        """As of `Recognizer`."""
        return sum(weight.nbytes for weight in (*self._model.parameters(), *self._model.buffers()))

    def pieces(
        self,
        waveform: np.ndarray | Iterable[np.ndarray],
        given_up: Callable[[], bool] = bool,
        hints: Hints = NO_HINTS,
    ) -> Iterator[HeardPiece]:
        """As of `Recognizer`. Of the hints it uses the language; where there is none, what it hears in the first piece
        decides it for the whole recording. `given_up` is asked before each token."""
        found: Iterable[Piece] = cut(waveform, self._rules.window, STRIDE)
        if isinstance(waveform, np.ndarray):
            found = list(found)  # views
        total = len(found) if isinstance(found, list) else None
        language = hints.language if hints.language in self._rules.languages else self._rules.own_language
        last: Word | None = None
        for done, piece in enumerate(found, start=1):
            if given_up():
                raise CancelledError
            heard, language = self._hear(piece, language, given_up)
            heard = _own_part(heard, piece, last)
            last = heard.words[-1] if heard.words else last
            yield HeardPiece(heard.text, heard.words, heard.text, done, total, piece.end / SAMPLE_RATE)

    @torch.inference_mode()
    def _hear(self, piece: Piece, language: str | None, given_up: Callable[[], bool]) -> tuple[_Heard, str | None]:
        """What is heard in a piece, and the language that it was taken for."""
        sound = self._encoded(piece.samples)
        first = self._first(sound)
        if language is None:
            language = max(
                self._rules.languages, key=lambda code: float(first[self._rules.languages[code]]), default=None
            )
        prompt = self._rules.prompt(language)
        tokens = self._written(sound, prompt, len(piece.samples), given_up)
        if not tokens:
            return _Heard("", ()), language
        likely, attention = self._looked_back(sound, prompt, tokens)
        silent = self._rules.nothing is not None and float(first[self._rules.nothing].exp()) > LIKELY_NOTHING
        if silent and float(likely.mean()) < UNLIKELY_TEXT:
            return _Heard("", ()), language
        return self._told(piece, tokens, likely, attention), language

    def _encoded(self, samples: np.ndarray) -> Any:
        """The encoder's output of a piece, which is filled up with silence to the whole window."""
        inputs = self._extractor(
            samples,
            sampling_rate=SAMPLE_RATE,
            padding="max_length",
            max_length=self._rules.window,
            return_tensors="pt",
        )
        return self._model.model.encoder(inputs.input_features.to(self._model.device))

    def _first(self, sound: Any) -> torch.Tensor:
        """Logarithms of probabilities of what may follow on the start: which language, or that nothing is said."""
        start = torch.tensor([[self._rules.start]], device=self._model.device)
        logits: torch.Tensor = self._model(encoder_outputs=sound, decoder_input_ids=start, use_cache=False).logits
        return logits[0, -1].float().log_softmax(-1)

    def _written(self, sound: Any, prompt: list[int], samples: int, given_up: Callable[[], bool]) -> list[int]:
        """The likeliest token each time, until it ends; without the prompt, the end, and circles."""
        seconds = samples / SAMPLE_RATE
        most = min(self._rules.positions - len(prompt), SPARE_TOKENS + round(TOKENS_A_SECOND * seconds))
        if most <= 0:
            return []
        stopping = _Stopping(len(prompt), given_up)
        # Not the model's own `generate`, which cuts long sound itself and reads what a file says of how to.
        written = GenerationMixin.generate(
            self._model,
            encoder_outputs=sound,
            decoder_input_ids=torch.tensor([prompt], device=self._model.device),
            generation_config=GenerationConfig(
                max_new_tokens=most,
                do_sample=False,
                num_beams=1,
                eos_token_id=self._rules.end,
                pad_token_id=self._rules.end,
                decoder_start_token_id=self._rules.start,
            ),
            logits_processor=self._never(len(prompt)),
            stopping_criteria=StoppingCriteriaList([stopping]),
        )
        if given_up():
            raise CancelledError
        tokens: list[int] = written[0, len(prompt) :].tolist()
        if self._rules.end in tokens:
            tokens = tokens[: tokens.index(self._rules.end)]
        return tokens[: without_circle(tokens)]

    def _never(self, begin: int) -> LogitsProcessorList:
        """What keeps tokens from being written; `begin`: how long the prompt is."""
        device, found = self._model.device, LogitsProcessorList()
        if self._rules.silent:
            found.append(SuppressTokensLogitsProcessor([*self._rules.silent], device=device))
        if self._rules.silent_first:
            found.append(SuppressTokensAtBeginLogitsProcessor([*self._rules.silent_first], begin, device=device))
        return found

    def _looked_back(self, sound: Any, prompt: list[int], tokens: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Of each token the logarithm of its probability, (tokens,), and where the decoder looked, (heads, tokens,
        frames): in one go over what was written."""
        written = torch.tensor([[*prompt, *tokens]], device=self._model.device)
        with _Looking(self._model, sound.last_hidden_state, self._rules.heads) as looking:
            logits = self._model(encoder_outputs=sound, decoder_input_ids=written[:, :-1], use_cache=False).logits[0]
        first = len(prompt) - 1  # what is put out there is the first token
        likely = logits[first:].float().log_softmax(-1)
        chosen = likely[torch.arange(len(tokens)), torch.tensor(tokens, device=likely.device)]
        return chosen.cpu().numpy(), looking.attention()[:, first:]

    def _told(self, piece: Piece, tokens: list[int], likely: np.ndarray, attention: np.ndarray) -> _Heard:
        frames = max(1, -(-len(piece.samples) // STRIDE))
        starts = follow(attention[:, :, :frames])
        edges = np.append(starts, frames) * STRIDE / SAMPLE_RATE + piece.start / SAMPLE_RATE
        end = piece.end / SAMPLE_RATE
        written = [
            WrittenToken(min(float(edges[place]), end), min(float(edges[place + 1]), end), float(np.exp(likely[place])))
            for place in range(len(tokens))
        ]
        subwords = self._rules.subwords
        return _Heard(joined([subwords.text(tokens)]), tuple(words_of_units(subwords.units(tokens), written)))


def open_seq2seq(files: ModelFiles) -> Seq2SeqRecognizer:
    """A Whisper that was looked at as a whole. Raises UserError where it is not one, or not whole."""
    rules = read_rules(files.folder, files.config)
    check_saved(read_saved(files.folder), FEATURE_EXTRACTORS["whisper"].fixed)
    try:
        model, _ = load(files, {})
    finally:
        release(files.folder)
    bins = files.config.complete["num_mel_bins"]
    return Seq2SeqRecognizer(model.eval(), rules, WhisperFeatureExtractor(feature_size=bins, sampling_rate=SAMPLE_RATE))


def without_circle(tokens: Sequence[int]) -> int:
    """How many of these tokens to keep: all, or, where they end in a circle, up to the end of its first round."""
    for length in range(1, min(LONGEST_CIRCLE, len(tokens) // ROUNDS) + 1):
        rounds = max(ROUNDS, -(-TOKENS_OF_ROUNDS // length))
        circle = list(tokens[-length:])
        if len(tokens) >= rounds * length and list(tokens[-rounds * length :]) == circle * rounds:
            begin = len(tokens) - rounds * length
            while begin >= length and list(tokens[begin - length : begin]) == circle:
                begin -= length
            return begin + length
    return len(tokens)


class _Stopping(StoppingCriteria):
    """Ends what goes round in circles, and what nobody waits for any more."""

    def __init__(self, prompt: int, given_up: Callable[[], bool]) -> None:
        self._prompt, self._given_up = prompt, given_up

    def __call__(self, input_ids: torch.Tensor, scores: Any, **more: Any) -> torch.Tensor:
        """Whether to stop, (1,). `input_ids` is (1, tokens so far)."""
        tokens = input_ids[0, self._prompt :].tolist()
        stop = self._given_up() or without_circle(tokens) < len(tokens)
        return torch.tensor([stop], device=input_ids.device)


class _Looking:
    """While inside, notes what the decoder's attention to the sound is asked, layer by layer.

    What it answers is computed here once more, for few heads: with it, the model would have to take another, slower
    way through all of them.
    """

    def __init__(self, model: Any, sound: torch.Tensor, heads: Sequence[tuple[int, int]]) -> None:
        self._layers, self._sound, self._heads = model.model.decoder.layers, sound, heads
        self._asked: dict[int, torch.Tensor] = {}
        self._hooks: list[Any] = []

    def __enter__(self) -> "_Looking":
        for layer in {layer for layer, _ in self._heads}:
            self._hooks.append(
                self._layers[layer].encoder_attn.register_forward_pre_hook(self._noting(layer), with_kwargs=True)
            )
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _noting(self, layer: int) -> Callable[..., None]:
        def note(module: Any, args: tuple[Any, ...], named: dict[str, Any]) -> None:
            self._asked[layer] = args[0] if args else named["hidden_states"]

        return note

    def attention(self) -> np.ndarray:
        """(heads, tokens, frames): of each token a distribution over the window's frames."""
        found = []
        for layer, head in self._heads:
            attention = self._layers[layer].encoder_attn
            part = slice(head * attention.head_dim, (head + 1) * attention.head_dim)
            asked = attention.q_proj(self._asked[layer])[0, :, part] * attention.head_dim**-0.5
            found.append((asked @ attention.k_proj(self._sound)[0, :, part].T).softmax(-1))
        return torch.stack(found).float().cpu().numpy()


def _own_part(heard: _Heard, piece: Piece, last: Word | None) -> _Heard:
    """Where pieces overlap, the words of the first half of what they share are the earlier one's, the others the later
    one's. `last`: the word before; one that is cut in two halves is heard twice, and written once."""
    if not piece.before and not piece.after:
        return heard
    begin = (piece.start + piece.before / 2) / SAMPLE_RATE if piece.before else -np.inf
    end = (piece.end - piece.after / 2) / SAMPLE_RATE if piece.after else np.inf
    words = [word for word in heard.words if begin <= (word.start + word.end) / 2 < end]
    if piece.before and last and words and _alike(last, words[0]):
        words = words[1:]
    return _Heard(joined([word.text for word in words]), tuple(words))


def _alike(one: Word, other: Word) -> bool:
    """Whether it is the same word, said at the same time."""
    bare = [word.text.strip(".,!?;:…").casefold() for word in (one, other)]
    return bare[0] == bare[1] and other.start < one.end
