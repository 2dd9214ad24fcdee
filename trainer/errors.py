"""The exception type for what a person can cause and can mend."""


class UserError(Exception):
    """Something a person can understand and act on.

    `what` says what happened, `todo` what to do next; both are whole sentences that may be shown on the
    page as they stand, so they hold nothing of the host (no paths, tokens or tracebacks).
    """

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(f"{what} {todo}")
        self.what = what
        self.todo = todo


class HopelessError(UserError):
    """One that would come again if the same were tried again."""
