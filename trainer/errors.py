"""The exception type for what a person can cause and can mend."""

import errno
import re


class UserError(Exception):
    """Something a person can understand and act on.

    `what` says what happened, `todo` what to do next; both are whole sentences that may be shown on the
    page as they stand, so they hold nothing of the host (no paths, tokens or tracebacks).
    """

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(f"{what} {todo}")
        self.what = what
        self.todo = todo


_REFUSALS = {
    ("EACCES", "EPERM", "EROFS"): ("I may not read or write there.", "See that you may, or name another place."),
    ("ENOTDIR", "EEXIST"): ("A file lies where a folder is needed.", "Move it away, or name another place."),
    ("EISDIR",): ("A folder lies where a file is needed.", "Name a file."),
    ("ENAMETOOLONG",): ("That name is longer than a name may be.", "Choose a shorter one."),
    ("ENOSPC", "EDQUOT", "EFBIG"): ("The disk is full.", "Make some room, then try again."),
    ("EMFILE", "ENFILE"): ("Too many files are open at once.", "Close other programs, then try again."),
    ("ENOMEM",): ("The memory of this machine was not enough.", "Close other programs, then try again."),
}


def refusal_of(error: Exception) -> UserError | None:
    """What the system did not let happen, in words; None for an error that says nothing to a person."""
    if isinstance(error, MemoryError):
        return UserError("The memory of this machine was not enough.", "Close other programs, then try again.")
    name = errno.errorcode.get(error.errno or 0) if isinstance(error, OSError) else None
    return next((UserError(*words) for names, words in _REFUSALS.items() if name in names), None)


class HopelessError(UserError):
    """One that would come again if the same were tried again."""


_NUMBERS = {errno.ENOSPC, errno.EFBIG, *(getattr(errno, name) for name in ("EDQUOT",) if hasattr(errno, name))}
_TEXT = re.compile(rf"\(os error ({'|'.join(map(str, sorted(_NUMBERS)))})\)")  # safetensors passes on Rust's words


def is_disk_full(error: BaseException) -> bool:
    """No room, a quota that is used up, or a file as large as the system lets it be."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _NUMBERS
    return _TEXT.search(str(error)) is not None


_OUT_OF_MEMORY = re.compile(r"can't allocate memory|not enough memory|[Cc]annot allocate memory|os error 12\b")


def is_memory_full(error: BaseException) -> bool:
    """No memory, as Python, the system, torch (a RuntimeError) or safetensors says so, also where it is the cause."""
    link: BaseException | None = error
    for _ in range(20):  # such chains can be rings
        if link is None:
            return False
        if isinstance(link, MemoryError) or (isinstance(link, OSError) and link.errno == errno.ENOMEM):
            return True
        if _OUT_OF_MEMORY.search(str(link)):
            return True
        link = link.__cause__ or link.__context__
    return False
