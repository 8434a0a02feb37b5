"""Traces for OpenTelemetry: REST requests, logins, and messages that carry the context of a trace.

Only who wants traces imports this module: it needs the extra `otel`.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import msgspec
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from artcafe.server import events
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.rate import TokenBucket
from artcafe.server.events import LoginAccepted, LoginRefused
from artcafe.server.gateway.websocket.turn_scheduler import Traced
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.tracing import TRACEPARENT

EXPORT_SECONDS = 5.0
"""How long the collector is waited for, also at the end of the process."""

MESSAGES_PER_SECOND = 100.0
"""Messages that are traced in each process when they are published, and as many when they are delivered: some
hundredths of a core. Clients say which ones, so there is a bound."""

MAX_WAITING = 4096
"""Spans that wait for the collector; those beyond are dropped, and nothing else waits."""

_NS = 1_000_000_000

_Attributes = dict[str, str | int]


class _Message(msgspec.Struct):
    """The part of an envelope that is read."""

    id: str
    timestamp: datetime
    headers: dict[str, str] = {}


class Tracing(logging.Handler):
    """Makes spans, and sends them to a collector in the background (OTLP over HTTP). It hears logins as a
    handler of the log of events.

    A message is traced when its header `traceparent` names a trace that is sampled; a REST request continues
    the trace that it names, and begins one otherwise; a login begins one. `ratio` is the share of traces that
    is recorded, by their ids, whoever began them.
    """

    def __init__(self, endpoint: str, ratio: float, clock: Clock, version: str) -> None:
        """`endpoint` is the base of the collector's addresses."""
        super().__init__()
        sampled = TraceIdRatioBased(ratio)
        self._provider = TracerProvider(
            sampler=ParentBased(root=sampled, remote_parent_sampled=sampled),
            resource=Resource.create({"service.name": "artcafe", "service.version": version}),
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(f"{endpoint}/v1/traces", timeout=EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=MAX_WAITING))
        self._tracer = self._provider.get_tracer("artcafe", version)
        self._propagator = TraceContextTextMapPropagator()
        self._decoder = msgspec.json.Decoder(_Message)
        self._clock = clock
        now = clock.monotonic()
        self._publishing = TokenBucket(MESSAGES_PER_SECOND, MESSAGES_PER_SECOND, now)
        self._delivering = TokenBucket(MESSAGES_PER_SECOND, MESSAGES_PER_SECOND, now)

    async def finish(self) -> None:
        """Send what waits, for EXPORT_SECONDS at most."""
        await asyncio.to_thread(self._provider.shutdown)

    @contextmanager
    def hearing(self) -> Iterator[None]:
        """Trace the logins that are noted meanwhile."""
        events.LOG.addHandler(self)
        try:
            yield
        finally:
            events.LOG.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """A login of a WebSocket was decided."""
        event = getattr(record, "event", None)
        if not isinstance(event, LoginAccepted | LoginRefused) or event.ms is None:
            return
        attributes: _Attributes = {"artcafe.way": event.way, "artcafe.tenant": event.tenant or ""}
        span = self._begun("login", SpanKind.SERVER, event.ms / 1000, Context(), attributes)
        if isinstance(event, LoginRefused):
            span.set_attributes({"error.type": event.code, "artcafe.reason": event.reason or event.code})
            span.set_status(Status(StatusCode.ERROR))
        span.end(self._now())

    def request(
        self, method: str, route: str | None, status: int, seconds: float, traceparent: str | None
    ) -> None:
        """A REST request is answered (api.journal.ObserveRequest)."""
        parent = self._context(traceparent) or Context()
        attributes: _Attributes = {"http.request.method": method, "http.response.status_code": status}
        if route is not None:
            attributes["http.route"] = route
        name = method if route is None else f"{method} {route}"
        span = self._begun(name, SpanKind.SERVER, seconds, parent, attributes)
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        span.end(self._now())

    def published(
        self, tenant: TenantId, sender: str, subject: str, message: str, headers: dict[str, str]
    ) -> dict[str, str]:
        """A message is published (ports.tracing.TracePublication): whoever gets it continues from here."""
        parent = self._context(headers.get(TRACEPARENT))
        if parent is None or self._publishing.spend(self._clock.monotonic()) > 0.0:
            return headers
        attributes = {**_about(tenant, subject, message, "publish"), "artcafe.sender": sender}
        span = self._begun(f"publish {subject}", SpanKind.PRODUCER, 0.0, parent, attributes)
        span.end(self._now())
        here = span.get_span_context()
        if not here.trace_flags.sampled:
            return headers
        return {**headers, TRACEPARENT: f"00-{here.trace_id:032x}-{here.span_id:016x}-01"}

    def delivered(self, messages: Sequence[Traced]) -> None:
        """Messages were written to their subscribers here (TurnScheduler.traced)."""
        for tenant, subject, payload in messages:
            if self._delivering.spend(self._clock.monotonic()) > 0.0:
                return
            try:
                message = self._decoder.decode(payload)
            except msgspec.DecodeError:
                continue  # What is no envelope is delivered as such, and names no trace.
            parent = self._context(message.headers.get(TRACEPARENT))
            if parent is None:
                continue
            age = max(self._clock.now() - message.timestamp.timestamp(), 0.0)
            attributes = _about(tenant, subject, message.id, "deliver")
            span = self._begun(f"deliver {subject}", SpanKind.CONSUMER, age, parent, attributes)
            span.end(self._now())

    def _context(self, traceparent: str | None) -> Context | None:
        """The context that a header names; None where it names none that is sampled."""
        if traceparent is None:
            return None
        context = self._propagator.extract({TRACEPARENT: traceparent}, Context())
        named = get_current_span(context).get_span_context()
        return context if named.is_valid and named.trace_flags.sampled else None

    def _begun(self, name: str, kind: SpanKind, ago: float, parent: Context, attributes: _Attributes) -> Span:
        began = self._now() - int(ago * _NS)
        return self._tracer.start_span(name, parent, kind, attributes, start_time=began)

    def _now(self) -> int:
        return int(self._clock.now() * _NS)


def _about(tenant: str, subject: str, message: str, operation: str) -> _Attributes:
    return {
        "messaging.system": "artcafe",
        "messaging.operation.name": operation,
        "messaging.destination.name": subject,
        "messaging.message.id": message,
        "artcafe.tenant": tenant,
    }
