"""The reports of metrics that workers give their parent, over a pair of sockets each.

The parent sends one byte when it wants a report. A report is its length in four bytes, and then the report
in MessagePack; the last one comes unasked, when the worker ends.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

import msgspec
from prometheus_client.metrics_core import Metric

from artcafe.server.telemetry import names
from artcafe.server.telemetry.instruments import metric_of, one
from artcafe.server.telemetry.merging import Merging, Report, report_of

ANSWER_SECONDS = 1.0
"""How long a worker is waited for. Of one that does not answer the last report counts."""

_LENGTH_BYTES = 4
_ASK = b"?"


class Reporter:
    """A worker's end."""

    def __init__(self, there: socket.socket, collect: Callable[[], list[Metric]]) -> None:
        self._socket = there
        self._collect = collect

    async def run(self) -> None:
        """Answer until the parent is gone; when cancelled, give the last report."""
        reader, writer = await asyncio.open_connection(sock=self._socket)
        try:
            while await reader.read(1):
                self._report(writer)
                await writer.drain()
        except ConnectionError:
            return  # The parent is gone, and this process ends with it.
        except asyncio.CancelledError:
            self._report(writer)
            raise
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def _report(self, writer: asyncio.StreamWriter) -> None:
        report = msgspec.msgpack.encode(report_of(self._collect()))
        writer.write(len(report).to_bytes(_LENGTH_BYTES) + report)


class _Source:
    """One worker, as the parent knows it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.report: Report = []
        self.told = asyncio.Event()


class WorkerReports:
    """The parent's end: the metrics of all workers together, of whom there are to be `wanted`."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._merging = Merging()
        self._sources: dict[_Source, None] = {}
        self._decoder = msgspec.msgpack.Decoder(Report)

    async def listen(self, here: socket.socket) -> None:
        """Hear one worker until it ends. What it counted stays in the sums."""
        reader, writer = await asyncio.open_connection(sock=here)
        source = _Source(writer)
        self._sources[source] = None
        try:
            while True:
                length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES))
                source.report = self._decoder.decode(await reader.readexactly(length))
                source.told.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # It ended.
        finally:
            del self._sources[source]
            source.told.set()
            self._merging.end(source.report)
            writer.close()

    async def collect(self) -> list[Metric]:
        """Ask all workers that run, side by side."""
        asked = list(self._sources)
        for source in asked:
            source.told.clear()
            source.writer.write(_ASK)
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                for source in asked:
                    await source.told.wait()
        reports = [source.report for source in asked if source in self._sources and source.report]
        return [
            metric_of(names.WORKERS, one(len(reports))),
            metric_of(names.WORKERS_WANTED, one(self._wanted)),
            *self._merging.merged(reports),
        ]
