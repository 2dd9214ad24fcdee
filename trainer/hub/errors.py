"""Why a model could not be fetched, in sentences for people."""

import errno
import logging
from collections.abc import Iterator

from trainer.errors import UserError, is_disk_full
from trainer.formatting import file_size
from trainer.hub.repo_id import CHOOSE, EXAMPLE, HOME

log = logging.getLogger("voicetune.hub")
FORMAT_THAT_RUNS = "a format that can run hidden code on the computer that opens it"


# Not to be written, or a file in its place.
_NO_FOLDER = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG}


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from: huggingface_hub wraps an HTTP status in a "not in the cache"."""
    link: BaseException | None = error
    for _ in range(20):  # such chains can be rings
        if link is None:
            return
        yield link
        link = link.__cause__ or link.__context__


def status_of(error: BaseException) -> int:
    """The HTTP status behind an error; 0 where there was no answer."""
    responses = (getattr(link, "response", None) for link in causes(error))
    return next((response.status_code for response in responses if response is not None), 0)


def passing(error: BaseException) -> bool:
    """Whether the Hub may answer otherwise in a while: an earlier fetch is as good as the latest, a later try too."""
    status = status_of(error)
    return status in {0, 408, 429} or status >= 500


def read_error(error: Exception, repo_id: str, otherwise: UserError) -> UserError:
    """What a person should read of an error from huggingface_hub; `otherwise` for a network that failed."""
    from huggingface_hub import errors

    def came(*kinds: type[BaseException]) -> bool:
        return any(isinstance(link, kinds) for link in causes(error))

    numbers = {link.errno for link in causes(error) if isinstance(link, OSError)}
    if came(errors.GatedRepoError):
        return gated(repo_id)
    if came(errors.RevisionNotFoundError):
        return no_revision(repo_id)
    status = status_of(error)
    if status == 401 or came(errors.RepositoryNotFoundError, errors.DisabledRepoError):
        return not_found(repo_id)
    if status == 429:
        return UserError(
            "The Hugging Face Hub asks for a pause: too many requests have come from this address.",
            "Wait a few minutes and try again.",
        )
    if status == 403:
        return UserError(f"The Hugging Face Hub does not give {repo_id} to this computer.", CHOOSE)
    if status >= 500:
        return UserError(
            f"The Hugging Face Hub is in trouble and answers with error {status}.", "Try again in a few minutes."
        )
    if any(map(is_disk_full, causes(error))) or "No space left" in str(error):  # hf_xet gives no number
        return UserError(f"The disk filled up while {repo_id} was being fetched.", "Free some space and try again.")
    if numbers & _NO_FOLDER:
        return UserError(
            "The folder for downloaded models cannot be written to.",
            "Set VOICETUNE_DATA to a folder that can, and start Voicetune again.",
        )
    return otherwise


def out_of_reach(repo_id: str) -> UserError:
    return UserError(
        f"The Hugging Face Hub cannot be reached, and {repo_id} was not fetched before.",
        "Check the internet connection and try again, or choose a model that is already here.",
    )


def broken_off(repo_id: str) -> UserError:
    return UserError(
        f"The connection broke while {repo_id} was being fetched.",
        "Check the internet connection and try again; files that are complete are kept.",
    )


def not_found(repo_id: str) -> UserError:
    return UserError(
        f"There is no model called {repo_id} on the Hugging Face Hub, or it is private.",
        f"Check the spelling: an id has the form owner/name, as in {EXAMPLE}.",
    )


def no_revision(repo_id: str) -> UserError:
    return UserError(f"{repo_id} has no such version.", "Leave the version out to take the newest one.")


def gated(repo_id: str) -> UserError:
    return UserError(
        f"{repo_id} is only for people to whom its owner has given access.",
        "Choose an open model, or download this one yourself and give Voicetune its folder.",
    )


def pickle_only(repo_id: str, name: str) -> UserError:
    return UserError(
        f"{repo_id} has its weights only as {name}, {FORMAT_THAT_RUNS}, so it was not downloaded.",
        "Choose a model with a model.safetensors file; this one's owner can add it with the converter at "
        f"{HOME}/spaces/safetensors/convert.",
    )


def bad_index(repo_id: str) -> UserError:
    return UserError(
        f"The list of parts of {repo_id}'s weights is broken, or names files that are no weights.",
        "Choose a model whose weights are one model.safetensors file.",
    )


def too_large(repo_id: str, total: int, most: int) -> UserError:
    return UserError(
        f"{repo_id} is too large: {file_size(total)} to download, where {file_size(most)} is the most.",
        "Choose a smaller model, for example one with “base” in its name.",
    )


def disk_full(repo_id: str, missing: int, free: int, spare: int) -> UserError:
    return UserError(
        f"There is not enough room on the disk: {repo_id} takes {file_size(missing)}, {file_size(free)} are "
        f"free, and {file_size(spare)} must stay so.",
        "Free some space and try again, or choose a smaller model.",
    )


def quota_full(repo_id: str, needed: int) -> UserError:
    return UserError(
        f"The room for downloaded models is taken by models in use: {repo_id} needs {file_size(needed)}.",
        "Try again when the other models are no longer in use, or choose a smaller one.",
    )


AGAIN = "Check the internet connection and share it again; what has arrived already is not sent twice."


def not_signed_in(on_space: bool) -> UserError:
    """Nobody has signed in: there is no token to send."""
    if on_space:
        return UserError("You are not signed in.", "Press “Sign in with Hugging Face”, then share it again.")
    return UserError("This computer is not signed in to the Hub.", "Run “hf auth login” in a terminal, then try again.")


def hub_unreachable() -> UserError:
    """The Hub gave no answer: no network, no name, or too late."""
    return UserError("The Hugging Face Hub cannot be reached.", "Check the internet connection, then try again.")


def expired(on_space: bool) -> UserError:
    """There is one, and the Hub does not take it."""
    todo = "Sign out and in again" if on_space else "Run “hf auth login” in a terminal once more"
    return UserError("The Hub no longer accepts this sign-in: it has expired or was withdrawn.", f"{todo}, then share.")


def read_only() -> UserError:
    """A token of the kind "read"."""
    return UserError(
        "This sign-in may only read from the Hub, not write to it.",
        "Run “hf auth login” with a token of the kind “write”, then try again.",
    )


def taken(repo_id: str) -> UserError:
    """A repo of that name is there, and holds something else."""
    return UserError(f"There is a model called {repo_id} already.", "Choose another name.")


def other_visibility(repo_id: str, private: bool) -> UserError:
    """Shared before as the opposite of what is wished now: `private`."""
    now, wished = ("public", "private") if private else ("private", "public")
    return UserError(
        f"{repo_id} is on the Hub already, and it is {now}.",
        f"Share it as {now} again, choose another name, or make it {wished} in its settings on the Hub.",
    )


def not_whole(repo_id: str) -> UserError:
    """A file on the Hub has another hash than the one that was sent."""
    return UserError(f"Not all of {repo_id} arrived as it was sent.", "Share it again to send what is missing.")


def deleted() -> UserError:
    """The run's folder went while its files were read."""
    return UserError("The run was deleted while it was being shared.", "Choose another one.")


def write_error(error: Exception, repo_id: str, on_space: bool) -> UserError:
    """What a person should read of an error from huggingface_hub.

    No part of the error's own text is shown or logged: it may hold the address or the token that was sent.
    """
    from huggingface_hub import errors

    def came(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes(error))

    status = status_of(error)
    log.warning("writing %s to the Hub failed: %s, status %s", repo_id, type(error).__name__, status or "none")
    if came(errors.LocalTokenNotFoundError):
        return not_signed_in(on_space)
    if status == 401:
        return expired(on_space)
    if status in (403, 404):
        return UserError(
            f"You may not write to {repo_id} on the Hub with this sign-in.",
            "Choose a name of your own, or sign in with the right to write there.",
        )
    if status == 409:
        return UserError(
            f"Somebody else was changing {repo_id} at the same moment.", "Wait a little, then share it again."
        )
    if status == 429:
        return UserError(
            "The Hub asks for a pause: too many requests have come from you or from this address.",
            "Wait a few minutes, then share it again; what has arrived already is not sent twice.",
        )
    if status >= 500:
        return UserError(f"The Hub is in trouble and answers with error {status}.", "Share it again in a few minutes.")
    if status == 0 and came(ValueError, TypeError, LookupError, AttributeError):
        return UserError(
            "The answer makes no sense, so it may not have come from the Hub.",
            "Check whether this network wants you to sign in first, then share it again.",
        )
    if status:
        return UserError("The Hub did not accept what was sent.", "Try another name; if that fails, download the zip.")
    return UserError(f"The connection broke while {repo_id} was being shared.", AGAIN)
