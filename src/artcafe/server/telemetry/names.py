"""The metrics of the server: every name with its unit, labels and meaning. docs/metrics.md is made from this.

Names and units follow Prometheus' conventions: a prefix, base units, `_total` for counters. Each label has
few values, which the table names; no tenant, agent, channel, address or text of a client is one.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """The type of a metric, as Prometheus has it."""

    counter = "counter"
    gauge = "gauge"
    histogram = "histogram"


class Across(StrEnum):
    """How the values of several processes of one server become one (`--workers`)."""

    sum = "sum"
    max = "max"
    min = "min"


@dataclass(frozen=True, slots=True)
class MetricName:
    """One metric. `labels` says of each label which values it has; `buckets` are a histogram's."""

    name: str
    kind: Kind
    meaning: str
    labels: dict[str, str] = field(default_factory=dict)
    buckets: tuple[float, ...] = ()
    across: Across = Across.sum


_MESSAGE_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_CALL_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_REQUEST_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_PLAN: Final = "the name of a plan, or `other`"
_WAY: Final = "`websocket`, `url`, `rest`, `dashboard`, `token`, `sign_in`"

BUILD = MetricName(
    "artcafe_build_info", Kind.gauge, "1, with the release as a label.", {"version": "one"}, across=Across.max
)
WORKERS = MetricName("artcafe_workers", Kind.gauge, "Processes that serve the port and gave their metrics.")
WORKERS_WANTED = MetricName(
    "artcafe_workers_wanted", Kind.gauge, "Processes that are to serve the port (`ARTCAFE_WORKERS`)."
)

CONNECTIONS = MetricName(
    "artcafe_connections",
    Kind.gauge,
    "WebSockets that are logged in.",
    {"kind": "`agent`, `human`", "plan": _PLAN},
)
PENDING_LOGINS = MetricName(
    "artcafe_pending_logins", Kind.gauge, "WebSockets that are open and not logged in yet."
)
TENANTS = MetricName("artcafe_connected_tenants", Kind.gauge, "Tenants that have a connection, by process.")
SEND_QUEUE = MetricName(
    "artcafe_send_queue_bytes", Kind.gauge, "Bytes that wait for clients to read, of all connections."
)
LONGEST_SEND_QUEUE = MetricName(
    "artcafe_longest_send_queue_bytes",
    Kind.gauge,
    "The most that waits for one client.",
    across=Across.max,
)
DELIVERY_QUEUE = MetricName(
    "artcafe_delivery_queue_messages",
    Kind.gauge,
    "Messages that arrived and wait for their turn to be delivered.",
)

LOGINS = MetricName("artcafe_logins_total", Kind.counter, "Logins that were accepted.", {"way": _WAY})
LOGIN_REFUSALS = MetricName(
    "artcafe_login_refusals_total",
    Kind.counter,
    "Logins that were refused, by the true reason.",
    {"way": _WAY, "reason": "a reason of docs/log-events.md, or the name of an error"},
)
HANDSHAKE_REFUSALS = MetricName(
    "artcafe_handshake_refusals_total",
    Kind.counter,
    "Requests to upgrade that were no handshake, or came to a path without a WebSocket.",
    {"status": "an HTTP status that the server gives"},
)
CONNECTION_REFUSALS = MetricName(
    "artcafe_connection_refusals_total",
    Kind.counter,
    "Connections and requests that were refused before REST and WebSockets saw them.",
    {"reason": "the name of an error"},
)
DISCONNECTIONS = MetricName(
    "artcafe_disconnections_total",
    Kind.counter,
    "WebSockets that ended.",
    {"error": "the error that the server closed it for, or `none`"},
)
SLOW_CONSUMERS = MetricName(
    "artcafe_slow_consumers_total", Kind.counter, "Clients that were closed because they did not read."
)
THROTTLED = MetricName(
    "artcafe_throttled_total",
    Kind.counter,
    "Frames that were refused, and clients that were closed, for their rate.",
    {"code": "the name of an error"},
)

PUBLISHED_MESSAGES = MetricName(
    "artcafe_published_messages_total",
    Kind.counter,
    "Messages that clients published, as usage counts them.",
)
PUBLISHED_BYTES = MetricName(
    "artcafe_published_bytes_total", Kind.counter, "Payload bytes of these, as usage counts them."
)
DELIVERED_MESSAGES = MetricName(
    "artcafe_delivered_messages_total",
    Kind.counter,
    "Messages that were delivered to agents, as usage counts them.",
)
DELIVERY_LATENCY = MetricName(
    "artcafe_delivery_latency_seconds",
    Kind.histogram,
    "From the time a message was published, as its envelope says in whole milliseconds, until it was written "
    "to the sockets of its subscribers here. Ten messages a second are measured at most.",
    buckets=_MESSAGE_BUCKETS,
)

REQUESTS = MetricName(
    "artcafe_http_requests_total",
    Kind.counter,
    "REST requests that were answered.",
    {
        "method": "an HTTP method, or `other`",
        "route": "the template of a route, or `none`",
        "status": "`1xx` to `5xx`",
    },
)
REQUEST_SECONDS = MetricName(
    "artcafe_http_request_duration_seconds",
    Kind.histogram,
    "Until the answer to a REST request began.",
    {"method": "an HTTP method, or `other`", "route": "the template of a route, or `none`"},
    _REQUEST_BUCKETS,
)

LOOP_LAG = MetricName(
    "artcafe_event_loop_lag_seconds",
    Kind.histogram,
    "How much later than asked for the event loop calls a timer; ten times a second.",
    buckets=_CALL_BUCKETS,
)
LONGEST_STALL = MetricName(
    "artcafe_event_loop_longest_stall_seconds",
    Kind.gauge,
    "The largest such delay of the last minute or two.",
    across=Across.max,
)

DEPENDENCY_UP = MetricName(
    "artcafe_dependency_up",
    Kind.gauge,
    "1 while the last probe was answered, asked every two seconds.",
    {"dependency": "`bus`, `store`, `identity`"},
    across=Across.min,
)
PROBE_FAILURES = MetricName(
    "artcafe_probe_failures_total",
    Kind.counter,
    "Probes that were not answered, or with an error.",
    {"dependency": "`bus`, `store`, `identity`"},
)
BUS_ROUND_TRIP = MetricName(
    "artcafe_bus_round_trip_seconds",
    Kind.histogram,
    "Until NATS answered a PING, sent by each probe.",
    buckets=_CALL_BUCKETS,
)
BUS_GAPS = MetricName(
    "artcafe_bus_gaps_total",
    Kind.counter,
    "How often the link of a tenant that is connected may have missed messages: the bus was away.",
)
STORE_SECONDS = MetricName(
    "artcafe_store_operation_duration_seconds",
    Kind.histogram,
    "What the store took for a call, whatever became of it.",
    {"operation": "a method of the store's contract"},
    _CALL_BUCKETS,
)
STORE_ERRORS = MetricName(
    "artcafe_store_errors_total",
    Kind.counter,
    "Calls of the store that failed; of conflicts there are some wherever several write.",
    {
        "operation": "a method of the store's contract",
        "error": "`unavailable`, `unwritable`, `contended`, `conflict`, `other`",
    },
)
CACHE_LOOKUPS = MetricName(
    "artcafe_cache_lookups_total",
    Kind.counter,
    "Lookups in the cache of records.",
    {"cache": "`tenant`, `agent`, `channel`", "outcome": "`hit`, `miss`"},
)
EVENTS = MetricName(
    "artcafe_log_events_total",
    Kind.counter,
    "Log events, those that were folded included.",
    {"event": "an event of docs/log-events.md", "level": "`info`, `warning`, `error`"},
)

JETSTREAM_BYTES = MetricName(
    "artcafe_jetstream_storage_bytes",
    Kind.gauge,
    "Bytes on disk of all streams of the installation, copies included.",
    across=Across.max,
)
JETSTREAM_RESERVED = MetricName(
    "artcafe_jetstream_reserved_bytes",
    Kind.gauge,
    "Bytes of disk that streams reserve, copies included.",
    across=Across.max,
)
JETSTREAM_LIMIT = MetricName(
    "artcafe_jetstream_limit_bytes",
    Kind.gauge,
    "Bytes of disk that the servers of the bus may use.",
    across=Across.max,
)
JETSTREAM_STREAMS = MetricName(
    "artcafe_jetstream_streams", Kind.gauge, "Streams, copies included.", across=Across.max
)
JETSTREAM_CONSUMERS = MetricName(
    "artcafe_jetstream_consumers", Kind.gauge, "Consumers, copies included.", across=Across.max
)
JETSTREAM_MESSAGES = MetricName(
    "artcafe_jetstream_messages", Kind.gauge, "Messages in streams, copies included.", across=Across.max
)
JETSTREAM_ERRORS = MetricName(
    "artcafe_jetstream_api_errors_total",
    Kind.counter,
    "Requests of the JetStream API that the servers of the bus refused, since they started.",
    across=Across.max,
)
CONSUMER_LAG = MetricName(
    "artcafe_durable_subscription_lag_messages",
    Kind.gauge,
    "Messages that durable subscriptions have not got yet, of all of the installation.",
    across=Across.max,
)
LONGEST_CONSUMER_LAG = MetricName(
    "artcafe_durable_subscription_longest_lag_messages",
    Kind.gauge,
    "The most of them that wait for one durable subscription.",
    across=Across.max,
)
CONSUMER_UNACKNOWLEDGED = MetricName(
    "artcafe_durable_subscription_unacknowledged_messages",
    Kind.gauge,
    "Messages that durable subscriptions got and did not settle yet.",
    across=Across.max,
)

METRICS: Final = (
    BUILD,
    WORKERS,
    WORKERS_WANTED,
    CONNECTIONS,
    PENDING_LOGINS,
    TENANTS,
    SEND_QUEUE,
    LONGEST_SEND_QUEUE,
    DELIVERY_QUEUE,
    LOGINS,
    LOGIN_REFUSALS,
    HANDSHAKE_REFUSALS,
    CONNECTION_REFUSALS,
    DISCONNECTIONS,
    SLOW_CONSUMERS,
    THROTTLED,
    PUBLISHED_MESSAGES,
    PUBLISHED_BYTES,
    DELIVERED_MESSAGES,
    DELIVERY_LATENCY,
    REQUESTS,
    REQUEST_SECONDS,
    LOOP_LAG,
    LONGEST_STALL,
    DEPENDENCY_UP,
    PROBE_FAILURES,
    BUS_ROUND_TRIP,
    BUS_GAPS,
    STORE_SECONDS,
    STORE_ERRORS,
    CACHE_LOOKUPS,
    EVENTS,
    JETSTREAM_BYTES,
    JETSTREAM_RESERVED,
    JETSTREAM_LIMIT,
    JETSTREAM_STREAMS,
    JETSTREAM_CONSUMERS,
    JETSTREAM_MESSAGES,
    JETSTREAM_ERRORS,
    CONSUMER_LAG,
    LONGEST_CONSUMER_LAG,
    CONSUMER_UNACKNOWLEDGED,
)
"""All of them, in the order of the documentation."""
