"""The use of the bus's disk by streams, and how far durable subscriptions are behind."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamUsage:
    """All streams of all tenants, on all servers of the bus together. Where a stream has copies on several
    servers each of them counts; of a durable subscription one does."""

    storage_bytes: int = 0
    reserved_bytes: int = 0
    limit_bytes: int = 0
    streams: int = 0
    consumers: int = 0
    messages: int = 0
    api_errors: int = 0
    lag: int = 0
    """Messages that durable subscriptions have not got yet."""
    longest_lag: int = 0
    """The most of them that wait for one."""
    unacknowledged: int = 0
    """Messages that they got and did not settle."""


ReadStreamUsage = Callable[[], Awaitable[StreamUsage]]
"""Asks the bus. Raises unavailable."""
