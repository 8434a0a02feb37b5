"""Announces a stored change on the bus, with retries."""

from typing import Protocol

from artcafe.server.domain.tenant import TenantRules


class Telling(Protocol):
    """Like ports.bus.Control and Accounts, for what is stored already: the change is made, whether the bus
    can be told of it now or not, so nothing here raises unavailable.

    When a call returns it was tried. Where the bus is away it is tried again until it is done, so anything
    may be told twice. What waits is bounded, and lost with the process (event `not_told`); how soon receivers
    look again by themselves bounds what that costs (SECURITY.md).
    """

    async def tell(self, topic: str, payload: bytes) -> None:
        """To every process that hears the topic, this one included; to this one at once, bus or not."""

    async def push(self, tenant: TenantRules) -> None:
        """Make the tenant's account agree with what is stored of the tenant."""

    async def remove(self, tenant: TenantRules) -> None:
        """Delete the account of a tenant that is not stored."""
