"""asyncio in tests: in a thread of its own, since the browsers' driver keeps a loop running in the one of the tests."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def run_apart(coroutine: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns or raises."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


PATIENCE = 60.0  # seconds, on a busy machine


def run_in_time(coroutine: Coroutine[Any, Any, T]) -> T:
    """The same. Raises TimeoutError where it takes longer than PATIENCE."""
    return run_apart(asyncio.wait_for(coroutine, PATIENCE))
