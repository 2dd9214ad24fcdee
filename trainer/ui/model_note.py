"""What stands below the choice of a model: what this one is good for, and what else there is."""

from trainer.speech.locales import LOCALES
from trainer.transcription.choices import HUB, READY, hub_choice

PRACTICE = "This tiny practice model knows banking sentences said clearly in English; "
FROM_HUB = "You have not fine-tuned a model yet. This one comes from the Hugging Face Hub, so it needs the internet."
NOTHING = "There is no model for this language yet. Fine-tune one, or type the name of one on the Hub."


def model_note(choice: str, own: bool, hub: bool) -> str:
    """One sentence, or "" where none is needed. `own`: the person has a model; `hub`: the Hub can be reached."""
    if not choice:
        return NOTHING
    if choice.startswith(READY):
        return PRACTICE + _instead(choice, hub)
    return FROM_HUB if choice.startswith(HUB) and not own else ""


def _instead(choice: str, hub: bool) -> str:
    """What to do where the practice model is not enough."""
    better = hub_choice(LOCALES[choice.removeprefix(READY)].language)
    if hub and better:
        return f"for anything else, choose “{better.label}” above."
    return "the Hugging Face Hub is out of reach, so the other way is to fine-tune one of your own."
