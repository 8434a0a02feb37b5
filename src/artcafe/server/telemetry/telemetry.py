"""The telemetry of one process: what is measured where, and read when somebody asks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import Metric

from artcafe.server.core.usage import MessageTotals
from artcafe.server.domain.change import Kind as RecordKind
from artcafe.server.gateway.load import GatewayLoad
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.stream_usage import ReadStreamUsage
from artcafe.server.ports.tracing import TracePublication
from artcafe.server.store.item import Backend
from artcafe.server.telemetry import names
from artcafe.server.telemetry.delivery_latency import DeliveryLatency
from artcafe.server.telemetry.event_counts import EventCounts
from artcafe.server.telemetry.instruments import Instruments, Values, one
from artcafe.server.telemetry.loop_lag import LoopLag
from artcafe.server.telemetry.measured_store import MeasuredStore
from artcafe.server.telemetry.names import MetricName
from artcafe.server.telemetry.streams import Streams

if TYPE_CHECKING:  # It needs the extra `otel`.
    from artcafe.server.telemetry.tracing import Tracing

TRACING = "artcafe.server.telemetry.tracing"
"""The module that needs the extra `otel`."""

MAX_PLANS = 32
"""Plans that are told apart; those of tenants beyond are `other`."""

Check = Callable[[], Awaitable[None]]


class Telemetry:
    """Made before everything else of the process. Without one, nothing is measured."""

    def __init__(self, clock: Clock, version: str, tracing: "Tracing | None" = None) -> None:
        self._tracing = tracing
        self._clock = clock
        self._version = version
        self._instruments = Instruments()
        self._requests = self._instruments.counter(names.REQUESTS)
        self._request_seconds = self._instruments.histogram(names.REQUEST_SECONDS)
        self._failures = self._instruments.counter(names.PROBE_FAILURES)
        self._round_trip = self._instruments.histogram(names.BUS_ROUND_TRIP)
        self._up: dict[str, bool] = {}
        self._plans: set[str] = set()

    def collect(self) -> list[Metric]:
        """All metrics, as they are now. It takes a time that grows with the connections of the process."""
        return self._instruments.collect()

    def store(self, store: Backend) -> Backend:
        """The same store, measured."""
        return MeasuredStore(store, self._instruments, self._clock.monotonic)

    def probed(self, checks: Mapping[str, Check]) -> dict[str, Check]:
        """The same checks, each of which tells here whether its dependency answers."""
        return {name: self._probed(name, check) for name, check in checks.items()}

    def _probed(self, name: str, check: Check) -> Check:
        async def probe() -> None:
            began = self._clock.monotonic()
            try:
                await check()
            except BaseException:
                self._up[name] = False
                self._failures.labels(name).inc()
                raise
            self._up[name] = True
            if name == "bus":
                self._round_trip.observe(self._clock.monotonic() - began)

        return probe

    @property
    def trace_publication(self) -> TracePublication | None:
        """Continues the traces of messages; None where nothing is traced."""
        return None if self._tracing is None else self._tracing.published

    def observe_request(
        self, method: str, route: str | None, status: int, seconds: float, traceparent: str | None
    ) -> None:
        """A REST request is answered (api.journal.ObserveRequest)."""
        if self._tracing is not None:
            self._tracing.request(method, route, status, seconds, traceparent)
        self._requests.labels(method, route or "none", f"{status // 100}xx").inc()
        self._request_seconds.labels(method, route or "none").observe(seconds)

    @asynccontextmanager
    async def observing(
        self,
        *,
        load: Callable[[], GatewayLoad],
        count_delivered: Callable[[], None],
        totals: Callable[[], MessageTotals],
        lookups: Mapping[tuple[RecordKind, bool], int],
        scheduler: TurnScheduler,
        streams: ReadStreamUsage | None,
    ) -> AsyncIterator[None]:
        """Measure meanwhile. When somebody asks, the load of the gateway, the totals of messages
        (`count_delivered` brings them up to date) and the lookups of the cache are read. `scheduler` lends
        messages; `streams` asks the bus, and is None where there is no JetStream."""
        lag = LoopLag(self._instruments, self._clock.monotonic)
        latency = DeliveryLatency(self._instruments, scheduler, self._clock.now)

        def values() -> Iterable[tuple[MetricName, Values]]:
            count_delivered()
            return [
                *self._of_process(),
                *self._of_gateway(load()),
                *_of_messages(totals()),
                (names.CACHE_LOOKUPS, _of_cache(lookups)),
            ]

        self._instruments.source(values)
        async with AsyncExitStack() as stack:
            stack.enter_context(EventCounts(self._instruments).counting())
            if self._tracing is not None:
                stack.push_async_callback(self._tracing.finish)
                stack.enter_context(self._tracing.hearing())
                scheduler.traced = self._tracing.delivered
            async with asyncio.TaskGroup() as tasks:
                chores = [tasks.create_task(lag.run(latency.ask))]
                if streams is not None:
                    chores.append(tasks.create_task(Streams(self._instruments, streams).run()))
                try:
                    yield
                finally:
                    for chore in chores:
                        chore.cancel()

    def _of_process(self) -> Iterable[tuple[MetricName, Values]]:
        yield names.BUILD, {(self._version,): 1.0}
        yield names.DEPENDENCY_UP, {(name,): float(up) for name, up in self._up.items()}

    def _of_gateway(self, load: GatewayLoad) -> Iterable[tuple[MetricName, Values]]:
        yield names.CONNECTIONS, self._by_plan(load)
        yield names.TENANTS, one(load.tenants)
        yield names.PENDING_LOGINS, one(load.pending_logins)
        yield names.SEND_QUEUE, one(load.queued_bytes)
        yield names.LONGEST_SEND_QUEUE, one(load.longest_queue)
        yield names.DELIVERY_QUEUE, one(load.waiting)
        yield names.BUS_GAPS, one(load.gaps)

    def _by_plan(self, load: GatewayLoad) -> Values:
        """The connections, with few names of plans; there is always a value for agents and for humans."""
        found: dict[tuple[str, ...], float] = {}
        for (kind, plan), count in load.connections.items():
            if len(self._plans) < MAX_PLANS and plan:
                self._plans.add(plan)
            label = (kind, plan if plan in self._plans else "other")
            found[label] = found.get(label, 0.0) + count
        for kind in ("agent", "human"):
            found.setdefault((kind, "other"), 0.0)
        return found


def _of_messages(totals: MessageTotals) -> Iterable[tuple[MetricName, Values]]:
    yield names.PUBLISHED_MESSAGES, one(totals.messages)
    yield names.PUBLISHED_BYTES, one(totals.bytes)
    yield names.DELIVERED_MESSAGES, one(totals.delivered)


def _of_cache(lookups: Mapping[tuple[RecordKind, bool], int]) -> Values:
    return {(kind.value, "hit" if hit else "miss"): count for (kind, hit), count in lookups.items()}
