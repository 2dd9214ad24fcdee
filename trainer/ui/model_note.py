"""What is said of the model that is chosen to talk to, before anybody talks."""

from html import escape

from trainer.formatting import one_in
from trainer.transcription.model_list import HUB, READY, heard_people, hub_choice

FROM_HUB = "You have not fine-tuned a model yet. This one comes from the Hugging Face Hub, so it needs the internet."


def unusable(why: str) -> str:
    """Why a model cannot be talked to now. Where this stands, script.js lets nobody record or upload."""
    return f'<p class="message problem" data-unusable>{escape(why)}</p>'


def away(name: str) -> str:
    """What is wrong with a model of this name that is not here while the Hub is out of reach."""
    return (
        f"{name} needs the internet: it is not on this computer yet, and the Hugging Face Hub is out of "
        "reach. Choose another one above."
    )


def model_note(choice: str, own: bool, hub: bool) -> str:
    """A sentence or two, or "" where none is needed. `own`: the person has a model; `hub`: the Hub can be reached."""
    if choice.startswith(READY):
        language = choice.removeprefix(READY)
        return f"{_ears_of(language)} {_instead(language, hub)}"
    return FROM_HUB if choice.startswith(HUB) and not own else ""


def _ears_of(language: str) -> str:
    """What to expect of the practice model, as far as it was measured."""
    people = heard_people(language)
    if people is None:
        return "This practice model comes with Voicetune. How well it understands people was not measured."
    clips = "one clip" if people.clips == 1 else f"{people.clips} clips"
    return (
        f"This practice model comes with Voicetune. It got {one_in(people.cer, 'letter')} wrong in {clips} of people."
    )


def _instead(language: str, hub: bool) -> str:
    """What to do where the practice model is not enough."""
    better = hub_choice(language)
    if hub and better:
        return f"For fewer mistakes choose “{better.label}” above, or fine-tune one of your own."
    return "For fewer mistakes, fine-tune one of your own."
