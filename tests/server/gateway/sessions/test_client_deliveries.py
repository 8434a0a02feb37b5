"""Settling deliveries: by the client that holds them, once, and answered when the bus knows."""

import pytest

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.sessions import Table, a_table, errors


class Letter:
    """One delivery, which remembers what was said about it."""

    def __init__(self, failure: ArtcafeError | None = None) -> None:
        self.said: list[object] = []
        self.failure = failure

    def _say(self, word: object) -> None:
        if self.failure is not None:
            raise self.failure
        self.said.append(word)

    def ack(self) -> None:
        self._say("ack")

    def nak(self, delay: float) -> None:
        self._say(delay)

    def renew(self) -> None:
        self._say("renewed")

    async def term(self, reason: str) -> None:
        self._say(reason)


@pytest.fixture
async def table() -> Table:
    return await a_table()


def held(table: Table, failure: ArtcafeError | None = None) -> tuple[Letter, str]:
    letter = Letter(failure)
    return letter, table.session._deliveries.begin(letter)


@pytest.mark.parametrize(
    ("frame", "word"),
    [
        ({"type": "ack"}, "ack"),
        ({"type": "nak"}, 0.0),
        ({"type": "nak", "delay_ms": 1500}, 1.5),
        ({"type": "term", "reason": "torn"}, "torn"),
    ],
)
async def test_a_delivery_is_settled_once(table: Table, frame: dict[str, object], word: object) -> None:
    letter, token = held(table)
    got = await table.say(**frame, delivery=token, id="1")
    assert got == [{"type": "settled", "id": "1", "delivery": token}]
    assert letter.said == [word]
    assert errors(Code.not_found, id="2")(await table.say(**frame, delivery=token, id="2"))
    assert letter.said == [word]


async def test_progress_leaves_it_with_the_client(table: Table) -> None:
    letter, token = held(table)
    for _ in range(2):
        got = await table.say(type="progress", delivery=token, id="1")
        assert got == [{"type": "settled", "id": "1", "delivery": token}]
    assert await table.say(type="ack", delivery=token) == []
    assert letter.said == ["renewed", "renewed", "ack"]


async def test_a_delivery_whose_lease_is_over_is_not_the_clients(table: Table) -> None:
    letter, token = held(table)
    table.session._deliveries.end(token)
    assert errors(Code.not_found, id=None)(await table.say(type="ack", delivery=token))
    assert letter.said == []


@pytest.mark.parametrize("kind", ["ack", "nak", "progress", "term"])
async def test_what_the_bus_does_not_take_is_refused(table: Table, kind: str) -> None:
    _, token = held(table, ArtcafeError(Code.unavailable))
    assert errors(Code.unavailable, id="1")(await table.say(type=kind, delivery=token, id="1"))


async def test_acks_of_what_was_delivered_cost_no_rate(table: Table) -> None:
    for _ in range(2_000):
        _, token = held(table)
        assert await table.say(type="ack", delivery=token) == []
    assert (table.client.ended, table.client.owed) == ([], 0)


@pytest.mark.parametrize("kind", ["ack", "nak", "progress", "term"])
async def test_settling_what_is_not_there_is_flooding(table: Table, kind: str) -> None:
    for _ in range(10_000):
        await table.say(type=kind, delivery="none")
        if table.client.ended:
            break
    assert table.client.ended[0] is Code.flooding
