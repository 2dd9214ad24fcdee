"""What the benchmarks of hearing share: practice clips of a locale, and a model with what it puts out for them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.models.base_ref import Folder, Starter
from trainer.models.common_words import common_words
from trainer.models.ctc_model import Checkpoint, open_checkpoint
from trainer.models.inference import logits_of
from trainer.models.language_model import learn
from trainer.models.resolve import find_model
from trainer.models.word_knowledge import WordKnowledge
from trainer.settings import Settings
from trainer.speech.clips import Split
from trainer.speech.dataset import Example, Preparation, SpeechDataset, split_clips
from trainer.speech.locales import Locale, locale_of
from trainer.speech.metrics import ErrorRates, error_rates
from trainer.speech.sources import open_source
from trainer.speech.text import normalise


@dataclass(frozen=True)
class Heard:
    """A locale's clips and a model that listens to them."""

    locale: Locale
    checkpoint: Checkpoint
    dataset: SpeechDataset

    @classmethod
    def open(cls, code: str, model: Path | None, data: str = "practice") -> "Heard":
        """`model` is a folder; None is the one that comes with Voicetune."""
        settings, locale = Settings.from_env(), locale_of(code)
        base = Folder(model) if model else Starter()
        checkpoint = open_checkpoint(find_model(base, settings, locale.language))
        source = open_source(data, locale, settings)
        prepare = Preparation(locale, checkpoint.vocabulary.case, settings, checkpoint.frames)
        return cls(locale, checkpoint, prepare(source, split_clips(source.clips, locale, 42)))

    def logits(self, split: Split) -> list[np.ndarray]:
        """Of each clip, (frames, labels)."""
        return [logits_of(self.checkpoint, example.waveform()).numpy() for example in self.dataset.of(split)]

    def rates(self, texts: list[str], heard: list[str]) -> ErrorRates:
        """Of what was heard, normalised as the references are."""
        return error_rates(texts, [normalise(text, self.locale, self.checkpoint.vocabulary.case) for text in heard])

    def knowledge(self, taught: bool = True) -> WordKnowledge:
        """The common words of its language, and the phrases of the training split where it was `taught` them."""
        texts = self.training_texts() if taught else []
        phrases = learn(texts, self.locale, self.checkpoint.vocabulary.case)
        return WordKnowledge(phrases, common_words(self.locale.language))

    def training_texts(self) -> list[str]:
        """Each different one of the training split once."""
        return sorted({example.text for example in self.dataset.train})


def joined_clips(examples: list[Example], seed: int = 0) -> tuple[np.ndarray, str]:
    """Clips one after the other, with pauses of 0.3 to 0.9 s of quiet noise (-60 dBFS), and all that is said."""
    rng = np.random.default_rng(seed)
    parts: list[np.ndarray] = []
    for example in examples:
        pause = int(rng.uniform(0.3, 0.9) * 16_000)
        parts += [example.waveform(), (1e-3 * rng.standard_normal(pause)).astype(np.float32)]
    return np.concatenate(parts), " ".join(example.text for example in examples)
