"""Why a model could not be shared, in sentences for people."""

from trainer.errors import UserError
from trainer.hub.refusals import causes, status_of

AGAIN = "Check the internet connection and share it again; what has arrived already is not sent twice."


def not_signed_in(on_space: bool) -> UserError:
    """There is no token at all."""
    if on_space:
        return UserError("You are not signed in.", "Press “Sign in with Hugging Face”, then share it again.")
    return UserError("This computer is not signed in to the Hub.", "Run “hf auth login” in a terminal, then try again.")


def out_of_reach() -> UserError:
    """No answer at all."""
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
    """The Hub's hashes are not ours."""
    return UserError(f"Not all of {repo_id} arrived as it was sent.", "Share it again to send what is missing.")


def deleted() -> UserError:
    """The run's folder went while its files were read."""
    return UserError("The run was deleted while it was being shared.", "Choose another one.")


def explain(error: Exception, repo_id: str, on_space: bool) -> UserError:
    """What a person should read of an error from huggingface_hub. No part of the error's own text is shown."""
    from huggingface_hub import errors

    def came(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes(error))

    status = status_of(error)
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
