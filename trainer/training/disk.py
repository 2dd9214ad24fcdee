"""Whether a fault is a full disk, however the library that met it says so."""

import errno
import re

_NUMBERS = {errno.ENOSPC, errno.EFBIG, *(getattr(errno, name) for name in ("EDQUOT",) if hasattr(errno, name))}
_TEXT = re.compile(rf"\(os error ({'|'.join(map(str, sorted(_NUMBERS)))})\)")  # safetensors passes on Rust's words


def is_disk_full(error: BaseException) -> bool:
    """No room, a quota that is used up, or a file as large as the system lets it be."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _NUMBERS
    return _TEXT.search(str(error)) is not None
