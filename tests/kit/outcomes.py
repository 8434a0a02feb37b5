"""What came of things that were tried."""

import asyncio
from collections.abc import Awaitable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

T = TypeVar("T")


@dataclass
class Refusal:
    """The error that a block ended with; there once it ended."""

    error: ArtcafeError | None = None

    @property
    def message(self) -> str:
        """What people read."""
        assert self.error is not None
        return self.error.message


@contextmanager
def refused(code: Code) -> Iterator[Refusal]:
    """The block ends with exactly this row of the error table."""
    refusal = Refusal()
    with pytest.raises(ArtcafeError) as caught:
        yield refusal
    assert caught.value.code is code, caught.value
    refusal.error = caught.value


async def outcome(work: Awaitable[T]) -> T | Code:
    """The result, or the code of the refusal."""
    try:
        return await work
    except ArtcafeError as error:
        return error.code


async def race(*works: Coroutine[Any, Any, T]) -> list[T | Code]:
    """Start all at once; the outcome of each, in the order given."""
    return await asyncio.gather(*(outcome(work) for work in works))
