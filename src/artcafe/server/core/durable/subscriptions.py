"""Shows and deletes the durable subscriptions of a channel; lists, retries and removes its dead letters."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from artcafe.server.core.durable.opening import durable_channel, tenant_link
from artcafe.server.domain.access import Action, Rights, require
from artcafe.server.domain.channel import ChannelRule
from artcafe.server.domain.ids import ChannelId
from artcafe.server.domain.principal import Human
from artcafe.server.ports.bus import Bus, Link
from artcafe.server.ports.consumers import ConsumerState
from artcafe.server.ports.records import Directory
from artcafe.server.ports.streams import Stored
from artcafe.wire.codes import Code
from artcafe.wire.deliveries import DeadLetter, decode_dead_letter
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import to_bus

PAGE_BYTES = 1_048_576
MAX_READS = 64
"""What one page of dead letters holds, and how often the store is asked for it."""


@dataclass(frozen=True, slots=True)
class DeadLetterPage:
    """Dead letters with their sequences, the oldest first, and the sequence behind which the next page
    begins; None where there is no more."""

    letters: list[tuple[int, DeadLetter]]
    after: int | None


class ChannelSubscriptions:
    """The durable subscriptions of durable channels, for humans: who may hear a channel sees them, who
    manages channels changes them."""

    def __init__(self, *, bus: Bus, directory: Directory) -> None:
        self._bus = bus
        self._directory = directory

    async def states(self, human: Human, channel_id: ChannelId) -> list[ConsumerState]:
        """The durable subscriptions of a channel, by name.

        Raises not_found, not_durable, forbidden, unavailable, as everything here.
        """
        require(human, Action.read)
        async with self._opened(human, channel_id) as (link, channel, _):
            return await link.consumers.states(channel.stream)

    async def delete(self, human: Human, channel_id: ChannelId, name: str) -> None:
        """Delete a durable subscription, whoever has it: they are told. Its dead letters stay. Raises
        not_found where there is none."""
        require(human, Action.manage_channels)
        async with self._opened(human, channel_id) as (link, channel, _):
            if not await link.consumers.delete(channel.stream, name):
                raise ArtcafeError(Code.not_found, "The channel has no such durable subscription.")

    async def dead_letters(
        self, human: Human, channel_id: ChannelId, name: str | None, after: int, limit: int
    ) -> DeadLetterPage:
        """Dead letters of one durable subscription, or of all, behind a sequence: those that the human may
        hear, so fewer than `limit` may not be the last ones."""
        require(human, Action.read)
        found: list[tuple[int, DeadLetter]] = []
        first, size, reads = after + 1, 0, 0
        async with self._opened(human, channel_id) as (link, channel, rights):
            while reads < MAX_READS:
                page = await link.consumers.dead_letters(channel.stream, name, first, PAGE_BYTES)
                reads += 1
                for seq, _, encoded in page.letters:
                    letter = decode_dead_letter(encoded)
                    if not rights.hears(letter.subject):
                        continue
                    size += len(encoded)
                    if len(found) == limit or (found and size > PAGE_BYTES):
                        return DeadLetterPage(found, found[-1][0])
                    found.append((seq, letter))
                if page.following is None:
                    return DeadLetterPage(found, None)
                first = page.following
        return DeadLetterPage(found, first - 1)

    async def retry(self, human: Human, channel_id: ChannelId, seq: int) -> Stored:
        """Store the message of a dead letter again, as its sender published it, and remove the dead letter:
        every subscription of the channel gets it. Raises not_found, channel_full."""
        require(human, Action.manage_channels)
        async with self._opened(human, channel_id) as (link, channel, rights):
            letter = await _dead_letter(link, channel, rights, seq)
            if letter.message is msgspec.UNSET or not letter.sender:
                raise ArtcafeError(Code.conflict, "It is not a message of this platform: remove it.")
            # Retried twice at once, it is stored once.
            stored = await link.streams.store(
                channel.stream, to_bus(letter.sender, letter.subject), bytes(letter.message), f"retry.{seq}"
            )
            await link.consumers.remove(channel.stream, seq)
            return stored

    async def remove(self, human: Human, channel_id: ChannelId, seq: int) -> None:
        """Remove a dead letter. Raises not_found."""
        require(human, Action.manage_channels)
        async with self._opened(human, channel_id) as (link, channel, rights):
            await _dead_letter(link, channel, rights, seq)  # Else it might be a message.
            await link.consumers.remove(channel.stream, seq)

    async def purge(self, human: Human, channel_id: ChannelId, name: str | None) -> int:
        """Remove the dead letters of one durable subscription, or of all; how many."""
        require(human, Action.manage_channels)
        async with self._opened(human, channel_id) as (link, channel, _):
            return await link.consumers.purge(channel.stream, name)

    @asynccontextmanager
    async def _opened(
        self, human: Human, channel_id: ChannelId
    ) -> AsyncIterator[tuple[Link, ChannelRule, Rights]]:
        """The tenant's link, a durable channel that the human may hear, and what else it may hear."""
        channel, rights = await durable_channel(self._directory, human, channel_id)
        async with tenant_link(self._bus, self._directory, human) as link:
            yield link, channel, rights


async def _dead_letter(link: Link, channel: ChannelRule, rights: Rights, seq: int) -> DeadLetter:
    """The dead letter at a sequence. Raises not_found where there is none that the human may hear."""
    page = await link.consumers.dead_letters(channel.stream, None, seq, 1)
    letter = next((decode_dead_letter(each) for at, _, each in page.letters if at == seq), None)
    if letter is None or not rights.hears(letter.subject):
        raise ArtcafeError(Code.not_found, "The channel has no such dead letter.")
    return letter
