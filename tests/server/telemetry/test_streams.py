"""What the bus told last of its streams."""

import pytest

from artcafe.server.ports.stream_usage import StreamUsage
from artcafe.server.telemetry.instruments import Instruments
from artcafe.server.telemetry.streams import Streams
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.metrics import values

LAG = "artcafe_durable_subscription_lag_messages"


async def test_the_last_answer_is_told_and_none_while_the_bus_does_not_answer() -> None:
    answers = iter([StreamUsage(lag=5, storage_bytes=7), None, StreamUsage(lag=6)])

    async def read() -> StreamUsage:
        answer = next(answers)
        if answer is None:
            raise ArtcafeError(Code.unavailable)
        return answer

    instruments = Instruments()
    streams = Streams(instruments, read)
    found: list[float | None] = []
    for _ in range(3):
        await streams.ask()
        found.append(values(instruments.collect()).get(LAG))
    assert found == [5, None, 6]


async def test_a_fault_of_another_kind_is_not_hidden() -> None:
    async def read() -> StreamUsage:
        raise KeyError("storage")

    with pytest.raises(KeyError):
        await Streams(Instruments(), read).ask()
