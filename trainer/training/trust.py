"""How far a taught model's confidence can be trusted, found with the clips by which it was chosen."""

from collections.abc import Callable, Sequence
from pathlib import Path

from trainer.models.beam_search import BeamDecoder
from trainer.models.common_words import common_words
from trainer.models.confidence import CONFIDENCE, SPELT, WITH_PHRASES, fitted, noted
from trainer.models.ctc_model import Checkpoint
from trainer.models.decoding import AlignedToken, greedy, words_of
from trainer.models.inference import Decoder, logits_of
from trainer.models.language_model import learn
from trainer.models.model_files import add_notes
from trainer.models.vocabulary import Vocabulary
from trainer.models.word_knowledge import WordKnowledge
from trainer.speech.dataset import Example
from trainer.speech.locales import Locale
from trainer.speech.metrics import marked_words
from trainer.speech.text import normalise
from trainer.training.context import TrainingInputs
from trainer.training.stop_signal import StopRequested

MOST_CLIPS = 100  # some hundred words are enough for two numbers


def note_confidence(inputs: TrainingInputs, folder: Path, kept: Checkpoint, check: Callable[[int], None]) -> None:
    """Hear the validation split with the model that was kept, and note beside it what its confidence is worth.

    Nothing is noted where `check`, which is called after each clip, raises StopRequested.
    """
    dataset, locale, vocabulary = inputs.dataset, inputs.locale, kept.vocabulary
    texts = dataset.texts("train").difference(dataset.texts("validation"))  # else it would know them by heart
    phrases = WordKnowledge(learn(texts, locale, vocabulary.case), common_words(locale.language))
    decoders: dict[str, Decoder] = {SPELT: lambda logits: greedy(logits, vocabulary)}
    if phrases:
        decoders[WITH_PHRASES] = BeamDecoder(vocabulary, phrases)
    sure: dict[str, list[float]] = {name: [] for name in decoders}
    right: dict[str, list[bool]] = {name: [] for name in decoders}
    was_training = kept.model.training
    kept.model.eval()
    try:
        for done, example in enumerate(dataset.validation[:MOST_CLIPS], start=1):
            logits = logits_of(kept, example.waveform()).numpy()
            for name, decode in decoders.items():
                confidences, correct = judged(decode(logits), example, vocabulary, locale)
                sure[name] += confidences
                right[name] += correct
            check(done)
    except StopRequested:
        return
    finally:
        kept.model.train(was_training)
    if found := noted({name: fitted(sure[name], right[name]) for name in decoders}):
        add_notes(folder, **{CONFIDENCE: found})


def judged(
    tokens: Sequence[AlignedToken], example: Example, vocabulary: Vocabulary, locale: Locale
) -> tuple[list[float], list[bool]]:
    """How sure the model is of each word that it wrote, and whether it is what was said.

    Two empty lists where the words of the text that is compared are others: in Chinese each character was heard alone.
    """
    words = words_of(tokens, vocabulary, 1.0)
    written = normalise(" ".join(word.text for word in words), locale, vocabulary.case)
    right = [piece.kind == "same" for piece in marked_words(example.text, written) if piece.kind != "missing"]
    if len(right) != len(words):
        return [], []
    return [word.confidence for word in words], right
