"""What somebody types to name a model on the Hub: an id, or the address of its page."""

import re
from urllib.parse import urlsplit

from trainer.errors import UserError

HOME = "huggingface.co"
EXAMPLE = "facebook/wav2vec2-base-960h"
CHOOSE = f"Choose a CTC speech recognition model, for example {EXAMPLE}."
_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
_REPO_ID = re.compile(rf"(?:{_NAME}/)?{_NAME}")  # the rules of huggingface_hub.utils.validate_repo_id


def is_repo_id(text: str) -> bool:
    """Whether it has the form of an id: owner/name, or name alone as the oldest models have it."""
    return bool(_REPO_ID.fullmatch(text)) and not ("--" in text or ".." in text or text.endswith(".git"))


def check_repo_id(text: str) -> str:
    """A repo id in the Hub's form from what somebody typed: an id, or the address of a model's page.

    Raises UserError. Sends nothing.
    """
    text = text.strip()
    if not text:
        raise UserError("No model was named.", f"Type the id of a model on the Hub, for example {EXAMPLE}.")
    if "://" in text[:20]:
        text = _id_in_address(text)
    if text.startswith(("datasets/", "spaces/")):
        raise UserError("That is a data set or a Space, not a model.", CHOOSE)
    if not is_repo_id(text):
        raise UserError(
            "That is not the id of a model on the Hugging Face Hub.",
            f"An id has the form owner/name, as in {EXAMPLE}: copy it from the top of the model's page.",
        )
    return text


def _id_in_address(text: str) -> str:
    """https://huggingface.co/owner/name, also as the browser shows it: with /tree/main, a query or an anchor."""
    try:
        address = urlsplit(text)
    except ValueError:  # brackets that are no IPv6 address
        address = urlsplit("")
    if (address.scheme, address.netloc) != ("https", HOME):
        raise UserError(
            "That address does not lead to the Hugging Face Hub.",
            f"Paste the address of a model's page, such as https://{HOME}/{EXAMPLE}, or its id alone.",
        )
    return address.path.strip("/").removesuffix("/tree/main")
