"""Durable subscriptions of a client: what it asks for, and the deliveries that it settles."""

from dataclasses import dataclass
from typing import Protocol

import msgspec

from artcafe.wire import deliveries, frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


@dataclass(frozen=True, slots=True)
class DurableRules:
    """The name of a durable subscription, and what its client asks for: milliseconds, and numbers."""

    name: str
    max_in_flight: int
    lease_ms: int | None = None
    max_deliveries: int | None = None


def durable_rules(
    name: str, max_in_flight: int | None, lease: float | None, max_deliveries: int | None
) -> DurableRules:
    """What a client asks for, `lease` in seconds. Raises validation_failed."""
    lease_ms = None if lease is None else round(lease * 1000)
    asked = frames.Subscribe(
        subject="x",
        durable=name,
        max_in_flight=max_in_flight,
        lease_ms=lease_ms,
        max_deliveries=max_deliveries,
    )
    try:
        frames.decode_client(frames.encode(asked))
    except msgspec.ValidationError as error:
        raise ArtcafeError(
            Code.validation_failed,
            "A durable subscription has a name of 1 to 64 letters, digits, _ and -,"
            f" {deliveries.MAX_IN_FLIGHT} messages in flight at most, leases of"
            f" {deliveries.LEAST_LEASE_MS // 1000} to {deliveries.MOST_LEASE_MS // 1000} seconds, and"
            f" {deliveries.MOST_DELIVERIES} deliveries at most.",
        ) from error
    return DurableRules(name, max_in_flight or deliveries.DEFAULT_IN_FLIGHT, lease_ms, max_deliveries)


class Settler(Protocol):
    """Sends what becomes of a delivery; with `confirm`, returns when the server has it."""

    async def __call__(self, frame: deliveries.DeliveryFrame, *, confirm: bool) -> None: ...


class Connected:
    """One connection: its deliveries are settled on it alone."""

    __slots__ = ("over",)

    def __init__(self) -> None:
        self.over = False


class ReceivedDelivery:
    """A message that was delivered to be settled, once."""

    __slots__ = ("_connection", "_settle", "_settled", "token")

    def __init__(self, token: str, connection: Connected, settle: Settler) -> None:
        self.token = token
        self._connection = connection
        self._settle = settle
        self._settled = False

    @property
    def over(self) -> bool:
        """Whether it cannot be settled any more: it was, or its connection is gone, and it comes again."""
        return self._settled or self._connection.over

    async def say(self, frame: deliveries.DeliveryFrame, *, confirm: bool) -> None:
        """Settle it. Raises not_found where it is over."""
        if self.over:
            raise ArtcafeError(
                Code.not_found, "It was settled already, or its connection is gone: then it comes again."
            )
        self._settled = not isinstance(frame, deliveries.RenewDelivery)
        await self._settle(frame, confirm=confirm)
