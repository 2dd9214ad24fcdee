"""The base models on offer, one row each: adding one is adding a row.

Revisions are commits that other public projects pin, and a few are only known as "main": this table was written
without reaching the Hub. Sizes are parameters times the four bytes of a float32, where a row does not say its files'.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

STARTER_ID = "starter"
BYTES_EACH = 4  # of a parameter: float32, as nearly all of these are stored
Machine = Literal["cpu", "small", "large"]  # what a training wants: no GPU, one with 8 to 16 GB, one with more


@dataclass(frozen=True)
class Base:
    """A pretrained model to start from.

    `config` holds the sizes in its config.json that differ from its kind's (`Architecture.defaults`). `heard` are the
    ISO 639-1 codes of the languages that it was pretrained on, () for very many; `writes` is the one that it has a head
    for. `revision` None is the repo's main branch. `pickle`: there may be no safetensors, so it is on offer only at a
    pinned commit. `file_bytes` of its weights where they are not those of the `parameters` that are used: a Whisper's
    decoder lies in the same file.
    """

    id: str
    title: str
    parameters: int
    licence: str
    machine: Machine
    config: Mapping[str, Any]
    sentence: str
    heard: tuple[str, ...] = ()
    writes: str | None = None
    revision: str | None = None
    pickle: bool = False
    file_bytes: int | None = None

    @property
    def download_bytes(self) -> int:
        """Bytes of its weights; 0 for what comes with Voicetune."""
        return 0 if self.id == STARTER_ID else self.file_bytes or self.parameters * BYTES_EACH


_LARGE: dict[str, Any] = {
    "model_type": "wav2vec2",
    "num_hidden_layers": 24,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_attention_heads": 16,
}
_SEW_TINY = {"model_type": "sew", "hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8}
_SEW_D_TINY = {"model_type": "sew-d", "hidden_size": 384, "intermediate_size": 1536, "num_attention_heads": 6}
_APACHE, _MIT, _ENGLISH = "Apache-2.0", "MIT", ("en",)


def _whisper(
    name: str,
    title: str,
    machine: Machine,
    parameters: int,
    sizes: tuple[int, int, int],
    sentence: str,
    revision: str,
    file_bytes: int,
    **more: Any,
) -> Base:
    """Another family: `parameters` of the encoder, `sizes` its layers, width and heads."""
    layers, width, heads = sizes
    config = {
        "model_type": "whisper",
        "encoder_layers": layers,
        "d_model": width,
        "encoder_attention_heads": heads,
        "encoder_ffn_dim": 4 * width,
    }
    return Base(
        f"openai/whisper-{name}",
        title,
        parameters,
        more.pop("licence", _APACHE),
        machine,
        config | more,
        sentence,
        revision=revision,
        file_bytes=file_bytes,
    )


def _xlsr(language: str, name: str, english: str) -> Base:
    """One of a family that differs in the language alone: pretrained on 53, then taught one with Common Voice."""
    return Base(
        f"jonatasgrosman/wav2vec2-large-xlsr-53-{name}",
        f"XLSR {english}",
        315_500_000,
        _APACHE,
        "small",
        _LARGE,
        f"Writes {english} already; a training makes it used to your voices and words.",
        writes=language,
    )


ROWS = (
    Base(
        STARTER_ID,
        "Starter",
        21_400_000,
        _MIT,
        "cpu",
        {},  # read from its folder
        "Comes with Voicetune: Whisper's ears, and the letters of twelve languages. It learns in minutes.",
    ),
    Base(
        "facebook/wav2vec2-base",
        "wav2vec2-base",
        95_000_000,
        _APACHE,
        "small",
        {"model_type": "wav2vec2"},
        "The classic: pretrained on English read aloud, and it learns other languages too.",
        heard=_ENGLISH,
        revision="refs/pr/2",  # main has pickle weights only; this one holds the same as safetensors
    ),
    Base(
        "facebook/wav2vec2-base-960h",
        "wav2vec2-base-960h",
        94_395_552,
        _APACHE,
        "small",
        {"model_type": "wav2vec2"},
        "The same, already taught to write English.",
        heard=_ENGLISH,
        writes="en",
        revision="22aad52d435eb6dbaf354bdad9b0da84ce7d6156",
    ),
    Base(
        "ntu-spml/distilhubert",
        "DistilHuBERT",
        23_500_000,
        _APACHE,
        "cpu",
        {"model_type": "hubert", "num_hidden_layers": 2},
        "HuBERT boiled down to two layers: the quickest of the real ones.",
        heard=_ENGLISH,
        revision="fa87d96265d6b7af66e112faff6ff44df419cec9",
    ),
    Base(
        "asapp/sew-d-tiny-100k-ft-ls100h",
        "SEW-D tiny",
        24_100_000,
        _APACHE,
        "cpu",
        _SEW_D_TINY,
        "Small, squeezed and quick; already taught to write English.",
        heard=_ENGLISH,
        writes="en",
        revision="1966cdcfbd2123ee90b003c2aa6ec6fe204cc4d8",
        pickle=True,
    ),
    Base(
        "asapp/sew-d-tiny-100k",
        "SEW-D tiny (untaught)",
        24_100_000,
        _APACHE,
        "cpu",
        _SEW_D_TINY,
        "The same before it was taught English.",
        heard=_ENGLISH,
        pickle=True,
    ),
    Base(
        "asapp/sew-tiny-100k",
        "SEW tiny",
        40_800_000,
        _APACHE,
        "cpu",
        _SEW_TINY,
        "A squeezed Wav2Vec2: half the frames, less than half the work.",
        heard=_ENGLISH,
        pickle=True,
    ),
    Base(
        "facebook/hubert-base-ls960",
        "HuBERT base",
        94_400_000,
        _APACHE,
        "small",
        {"model_type": "hubert"},
        "Like wav2vec2-base, pretrained another way; often a little better on English.",
        heard=_ENGLISH,
        revision="dba3bb02fda4248b6e082697eee756de8fe8aa8a",
        pickle=True,
    ),
    Base(
        "microsoft/wavlm-base-plus",
        "WavLM base+",
        94_400_000,
        "CC-BY-SA-3.0",
        "small",
        {"model_type": "wavlm"},
        "Pretrained on 94,000 hours with noise and several voices: good for difficult recordings.",
        heard=_ENGLISH,
        revision="4c66d4806a428f2e922ccfa1a962776e232d487b",
        pickle=True,
    ),
    Base(
        "microsoft/unispeech-sat-base-100h-libri-ft",
        "UniSpeech-SAT base",
        94_400_000,
        _APACHE,
        "small",
        {"model_type": "unispeech-sat"},
        "Knows voices apart; already taught to write English with 100 hours.",
        heard=_ENGLISH,
        writes="en",
        revision="b294556d8d77cc539f9d08bef0ddbb0f60985328",
        pickle=True,
    ),
    Base(
        "microsoft/unispeech-sat-base",
        "UniSpeech-SAT base (untaught)",
        94_400_000,
        "CC-BY-SA-3.0",
        "small",
        {"model_type": "unispeech-sat"},
        "The same before it was taught English.",
        heard=_ENGLISH,
        pickle=True,
    ),
    Base(
        "facebook/data2vec-audio-base-960h",
        "data2vec base",
        93_164_288,
        _APACHE,
        "small",
        {"model_type": "data2vec-audio"},
        "Pretrained by predicting its own view of speech; already taught to write English.",
        heard=_ENGLISH,
        writes="en",
        revision="32331f3123e703528918aa688a9a38232d58c872",
        pickle=True,
    ),
    Base(
        "facebook/data2vec-audio-base",
        "data2vec base (untaught)",
        93_164_288,
        _APACHE,
        "small",
        {"model_type": "data2vec-audio"},
        "The same before it was taught English.",
        heard=_ENGLISH,
        pickle=True,
    ),
    Base(
        "facebook/wav2vec2-xls-r-300m",
        "XLS-R 300M",
        317_000_000,
        _APACHE,
        "small",
        _LARGE,
        "Pretrained on 128 languages: the one to teach a language that has no model yet.",
        revision="1a640f32ac3e39899438a2931f9924c02f080a54",
        pickle=True,
    ),
    Base(
        "facebook/mms-300m",
        "MMS 300M",
        317_000_000,
        "CC-BY-NC-4.0",
        "small",
        _LARGE,
        "Pretrained on more than 1,400 languages; not for commercial use.",
        revision="4ee317ce793c53dbc041fc4376c7558292dd38dc",
        pickle=True,
    ),
    _xlsr("de", "german", "German"),
    _xlsr("fr", "french", "French"),
    _xlsr("es", "spanish", "Spanish"),
    _xlsr("it", "italian", "Italian"),
    _xlsr("nl", "dutch", "Dutch"),
    _xlsr("pl", "polish", "Polish"),
    _xlsr("pt", "portuguese", "Portuguese"),
    _xlsr("ru", "russian", "Russian"),
    _xlsr("zh", "chinese-zh-cn", "Chinese"),
    _whisper(
        "base",
        "Whisper base",
        "cpu",
        20_600_000,
        (6, 512, 8),
        "The ears of Whisper, which heard 680,000 hours of people in 99 languages: good on a computer without a GPU.",
        "e37978b90ca9030d5170a5c07aadb050351a65bb",
        290_403_936,
    ),
    _whisper(
        "tiny",
        "Whisper tiny",
        "cpu",
        8_200_000,
        (4, 384, 6),
        "The same with less than half the parameters: quicker, and it hears less.",
        "169d4a4341b33bc18d8881c4b69c2e104e1cc0af",
        151_061_672,
    ),
    _whisper(
        "small",
        "Whisper small",
        "small",
        88_200_000,
        (12, 768, 12),
        "The same with four times the parameters: for a small GPU.",
        "973afd24965f72e36ca33b3055d56a652f456b4d",
        966_995_080,
    ),
    Base(
        "facebook/w2v-bert-2.0",
        "w2v-BERT 2.0",
        580_500_000,
        "MIT",
        "large",
        {**_LARGE, "model_type": "wav2vec2-bert"},
        "Pretrained on 4.5 million hours in 143 languages: the strongest here.",
        revision="da985ba0987f70aaeb84a80f2851cfac8c697a7b",
    ),
    Base(
        "nvidia/parakeet-ctc-0.6b",
        "Parakeet CTC 0.6B",
        609_000_000,
        "CC-BY-4.0",
        "large",
        {
            "model_type": "parakeet_ctc",
            "encoder_config": {key: value for key, value in _LARGE.items() if key != "model_type"},
        },
        "Trained on tens of thousands of hours of English, in pieces of words; here it learns letters.",
        heard=_ENGLISH,
        revision="ad09ba1cc62743fbc9814de5d2016fca9096485a",
    ),
    _whisper(
        "large-v3-turbo",
        "Whisper large v3 turbo",
        "large",
        637_000_000,
        (32, 1280, 20),
        "The ears of the largest Whisper, which heard five million hours of people in 99 languages.",
        "41f01f3fe87f28c78e2fbf8b568835947dd65ed9",
        1_617_824_864,
        licence="MIT",
        num_mel_bins=128,
    ),
    Base(
        "speechbrain/m-ctc-t-large",
        "M-CTC-T large",
        1_060_000_000,
        _APACHE,
        "large",
        {
            "model_type": "mctct",
            "num_hidden_layers": 36,
            "hidden_size": 1536,
            "intermediate_size": 6144,
            "num_attention_heads": 4,
        },
        "A billion parameters that write 60 languages.",
        pickle=True,
    ),
)
BASES: dict[str, Base] = {row.id: row for row in ROWS}
USUAL = "facebook/wav2vec2-base"  # its size stands in for one that nobody knows
# CTC models of the Hub for the Transcribe tab, by language: the first of the table that writes it.
HUB_MODELS: dict[str, str] = {row.writes: row.id for row in reversed(ROWS) if row.writes}
# Heard with as they are, in each of our languages: what most people know, to compare one's own with.
BEST_KNOWN = ("openai/whisper-small", "openai/whisper-large-v3-turbo")


def why_not_on_offer(row: Base) -> str:
    """Why a row of the table cannot be trained here at all, in a sentence; "" where it can."""
    if row.pickle and not row.revision:
        return "Its weights come as a pickle, a format that can hide code, and no version of it is known to be good."
    return ""


def bases_on_offer() -> tuple[Base, ...]:
    """The rows that can be trained, in the table's order."""
    return tuple(row for row in ROWS if not why_not_on_offer(row))
