"""Why a model could not be fetched, in sentences for people."""

import errno
from collections.abc import Iterator

from trainer.errors import UserError
from trainer.hub.ids import CHOOSE, EXAMPLE, HOME

FORMAT_THAT_RUNS = "a format that can run hidden code on the computer that opens it"


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
    """Whether the Hub may answer otherwise in a while, so that an earlier fetch is as good as the latest."""
    status = status_of(error)
    return status in {0, 408, 429} or status >= 500


def explain(error: Exception, repo_id: str, otherwise: UserError) -> UserError:
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
    if numbers & {errno.ENOSPC, errno.EDQUOT} or "No space left" in str(error):  # hf_xet gives no number
        return UserError(f"The disk filled up while {repo_id} was being fetched.", "Free some space and try again.")
    if numbers & {errno.EACCES, errno.EPERM, errno.EROFS}:
        return UserError(
            "The folder for downloaded models cannot be written to.",
            "Set HF_HOME to a folder that can, and start Voicetune again.",
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
        f"{repo_id} is too large: {size(total)} to download, where {size(most)} is the most.",
        "Choose a smaller model, for example one with “base” in its name.",
    )


def disk_full(repo_id: str, missing: int, free: int, spare: int) -> UserError:
    return UserError(
        f"There is not enough room on the disk: {repo_id} takes {size(missing)}, {size(free)} are "
        f"free, and {size(spare)} must stay so.",
        "Free some space and try again, or choose a smaller model.",
    )


def quota_full(repo_id: str, needed: int) -> UserError:
    return UserError(
        f"The room for downloaded models is taken by models in use: {repo_id} needs {size(needed)}.",
        "Try again when the other models are no longer in use, or choose a smaller one.",
    )


def size(count: int) -> str:
    """Bytes for people: "4.2 GB"."""
    for unit, name in ((10**9, "GB"), (10**6, "MB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count / 1000:.1f} kB"
