"""Consumers in one process, with the promises of the real ones."""

import asyncio
from collections.abc import Callable

from artcafe.server.bus.memory_streams import ConsumerEnd, MemoryStreams, SharedConsumer
from artcafe.server.ports.consumers import ConsumerRules, ConsumerState, DeadLetters, HandedOut


class MemoryConsumer:
    """ports.Consumer."""

    def __init__(self, shared: SharedConsumer, end: ConsumerEnd) -> None:
        self._shared = shared
        self._end = end

    @property
    def rules(self) -> ConsumerRules:
        """See ports.Consumer."""
        return self._shared.rules

    def want(self, many: int) -> None:
        """See ports.Consumer."""
        self._end.wanted = many
        asyncio.get_running_loop().call_soon(self._shared.hand_out)

    def ack(self, handed: HandedOut) -> None:
        """See ports.Consumer."""
        self._shared.settle(handed)

    def nak(self, handed: HandedOut, delay: float = 0.0) -> None:
        """See ports.Consumer."""
        if self._shared.settle(handed):
            asyncio.get_running_loop().call_later(delay, self._again, handed.message.seq)

    def _again(self, seq: int) -> None:
        self._shared.again.append(seq)
        self._shared.hand_out()

    def renew(self, handed: HandedOut) -> None:
        """See ports.Consumer."""
        held = self._shared.held.get(handed.settle)
        if held is not None:
            held.timer.cancel()
            loop = asyncio.get_running_loop()
            held.timer = loop.call_later(self.rules.lease, self._shared.lapse, handed)

    def term(self, handed: HandedOut) -> None:
        """See ports.Consumer."""
        self._shared.settle(handed)

    async def close(self) -> None:
        """See ports.Consumer."""
        self._end.wanted = 0
        self._shared.ends.pop(self._end, None)


class MemoryConsumers:
    """ports.Consumers of one account."""

    def __init__(self, streams: MemoryStreams) -> None:
        self._streams = streams

    async def consume(
        self,
        stream: str,
        name: str,
        rules: ConsumerRules,
        take: Callable[[HandedOut], None],
        over: Callable[[], None],
    ) -> MemoryConsumer:
        """See ports.Consumers."""
        await asyncio.sleep(0)
        found = self._streams.find(stream)
        shared = found.consumers.get(name)
        if shared is None:
            shared = found.consumers[name] = SharedConsumer(name, found, rules, rules.first)
        end = ConsumerEnd(take, over)
        shared.ends[end] = None
        return MemoryConsumer(shared, end)

    async def states(self, stream: str) -> list[ConsumerState]:
        """See ports.Consumers."""
        await asyncio.sleep(0)
        consumers = self._streams.find(stream).consumers
        return [consumers[name].state for name in sorted(consumers)]

    async def delete(self, stream: str, name: str) -> bool:
        """See ports.Consumers."""
        await asyncio.sleep(0)
        shared = self._streams.find(stream).consumers.pop(name, None)
        if shared is None:
            return False
        for end in tuple(shared.ends):
            end.wanted = 0
            end.over()
        return True

    async def bury(self, stream: str, name: str, letter: bytes, dedup_id: str) -> int:
        """See ports.Consumers."""
        await asyncio.sleep(0)
        return self._streams.find(stream).bury(name, letter, dedup_id)

    async def dead_letters(self, stream: str, name: str | None, first: int, most_bytes: int) -> DeadLetters:
        """See ports.Consumers."""
        await asyncio.sleep(0)
        size = 0
        letters: list[tuple[int, str, bytes]] = []
        for seq, (owner, letter) in self._streams.find(stream).dead.items():
            if seq >= first and name in {None, owner}:
                if letters and size + len(letter) > most_bytes:
                    return DeadLetters(letters, letters[-1][0] + 1)
                letters.append((seq, owner, letter))
                size += len(letter)
        return DeadLetters(letters, None)

    async def remove(self, stream: str, seq: int) -> bool:
        """See ports.Consumers."""
        await asyncio.sleep(0)
        found = self._streams.find(stream)
        if found.dead.pop(seq, None) is not None:
            return True
        there = seq in found.messages
        if there:
            found.remove(seq)
        return there

    async def purge(self, stream: str, name: str | None) -> int:
        """See ports.Consumers."""
        await asyncio.sleep(0)
        dead = self._streams.find(stream).dead
        gone = [seq for seq, (owner, _) in dead.items() if name in {None, owner}]
        for seq in gone:
            del dead[seq]
        return len(gone)
