"""Stored responses to creations, by Idempotency-Key.

An answer is kept in the transaction of the creation that it answers: either both are stored or neither is.
"""

from dataclasses import dataclass
from typing import Protocol, TypeVar

from artcafe.server.domain.ids import TenantId, UserId

R_contra = TypeVar("R_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer to be kept for `user` under an Idempotency-Key, until `expires` (Unix seconds).

    `digest` is of the request that it answers, `sealed` the answer as nobody reads it without the key.
    """

    user: UserId
    key: str
    digest: str
    sealed: str
    expires: int


class Keep(Protocol[R_contra]):
    """Makes of what is about to be stored the answer to be kept with it; None where none is kept."""

    async def __call__(self, made: R_contra, /) -> Kept | None:
        """Called before anything is stored, again after a conflicting write."""


async def keep_nothing(_: object, /) -> None:
    """Keep no answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The sealed response to a request of this digest; None where a server of an earlier release marked it as
    in progress."""

    digest: str
    sealed: str | None


class AnswerRecords(Protocol):
    """A key belongs to one user in one tenant; the tenant is empty for what is done in none."""

    async def get(self, tenant: TenantId, user: UserId, key: str) -> Answer | None:
        """The response stored under the key, or None. A strong read."""
