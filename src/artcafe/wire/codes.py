"""Every error and close code of ArtCafe PubSub: one table, used by REST, WebSockets and the SDK.

A number never changes its meaning. The close code says whether to come back: 4000-4499 and 1001,
1012, 1013 mean reconnect, 4500-4999 and the other protocol codes of RFC 6455 section 7.4.1 mean
stop and tell the developer. docs/errors.md is generated from this table.
"""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Row:
    """One error: `number` is stable, `http` and `close` are None where the error never takes that form."""

    number: int
    http: int | None
    close: int | None
    retry: bool
    when: str


class Code(Enum):
    """The names of the table; `Code.x.name` is what travels in `error` frames and problem documents."""

    # Connections that may come back.
    login_timeout = Row(100, 408, 4001, True, "Nobody proved who they are in time.")
    slow_consumer = Row(101, None, 4002, True, "More was queued for this client than its limit.")
    heartbeat_lost = Row(102, None, 4003, True, "Nothing was heard for two heartbeat intervals.")
    token_expired = Row(103, 401, 4004, True, "The token ran out; come back with a new one.")
    flooding = Row(104, 429, 4005, True, "The client kept sending through the rate limit.")
    too_many_connections = Row(105, 429, 4006, True, "The plan or the server takes no more connections.")
    unavailable = Row(106, 503, 1013, True, "The store or the bus is away for a moment.")
    going_away = Row(107, 503, 1012, True, "The server restarts; reconnect after the hint.")

    # Connections that must not come back unchanged.
    unauthorized = Row(200, 401, 4500, False, "The login was refused. The reason is deliberately not told.")
    forbidden = Row(
        201, 403, 4501, False, "Not allowed by role or policy. A frame refused so does not close."
    )
    key_revoked = Row(202, None, 4502, False, "The key was revoked while connected.")
    removed = Row(203, None, 4503, False, "The agent, member or tenant was deleted, or the agent disabled.")
    bad_frame = Row(204, 400, 1003, False, "Not JSON text, not an object, an unknown type or a bad field.")
    protocol_error = Row(205, 400, 1002, False, "The WebSocket framing broke RFC 6455.")
    not_utf8 = Row(206, 400, 1007, False, "Text that is not UTF-8.")
    too_large = Row(207, 413, 1009, False, "A frame, payload or body over the limit.")
    suspended = Row(208, 403, 4504, False, "The operator suspended the tenant; nothing of it is served.")

    deleting = Row(317, 409, 4505, False, "The tenant is being deleted: nothing in it is served any more.")

    # One request or frame; the connection stays.
    bad_request = Row(300, 400, None, False, "The request cannot be read as it stands.")
    invalid_subject = Row(301, 400, None, False, "The subject or pattern breaks the grammar or is reserved.")
    not_found = Row(302, 404, None, False, "No such thing in this tenant.")
    method_not_allowed = Row(303, 405, None, False, "The resource has no such method; see Allow.")
    conflict = Row(304, 409, None, False, "It exists already, or changed meanwhile.")
    precondition_failed = Row(305, 412, None, False, "If-Match names another version.")
    unsupported_media_type = Row(306, 415, None, False, "The body must be application/json.")
    validation_failed = Row(307, 422, None, False, "A field is missing, unknown or out of range.")
    idempotency_mismatch = Row(308, 422, None, False, "The Idempotency-Key was used with another body.")
    rate_limited = Row(309, 429, None, True, "Too many for this second; see retry_after_ms.")
    quota_exceeded = Row(
        310, 402, None, False, "A limit of the plan is reached, or that of tenants per user."
    )
    too_many_subscriptions = Row(311, 429, None, False, "The connection holds its limit of subscriptions.")
    internal = Row(312, 500, 1011, True, "A fault of the server, logged under the request id.")
    no_websockets = Row(313, 501, None, False, "This is the REST API alone; WebSockets are served elsewhere.")
    outcome_unknown = Row(
        314, 504, None, False, "The message was taken, and may arrive or not: sent again, it may come twice."
    )
    headers_too_large = Row(315, 431, None, False, "The head of the request has too many bytes or fields.")
    request_timeout = Row(316, 408, None, True, "The rest of the request did not come in time.")

    no_responders = Row(318, 503, None, True, "Nobody who could answer the request listens.")
    timeout = Row(
        319, 504, None, False, "The request was not answered in its time; it may have been acted upon."
    )
    cancelled = Row(320, 409, None, False, "The request was cancelled before its end.")
    request_refused = Row(
        321,
        422,
        None,
        False,
        "Who was asked refused; its own code is `details.code`, its words are the message.",
    )

    login_throttled = Row(
        324, None, 4024, True, "Too many logins failed, of this agent or from this address; come back later."
    )
    unreadable_record = Row(
        325, 503, 4025, True, "A stored record is damaged, or of a newer release; another server may read it."
    )
    too_many_channels = Row(323, 409, None, False, "A subject would belong to too many channels.")
    not_durable = Row(
        328, 409, None, False, "Nothing is stored there: it lies not within one durable channel."
    )
    channel_full = Row(322, 409, None, False, "The channel is full, and may not forget what it holds.")

    inbox_full = Row(326, 409, None, False, "The inbox is full: its owner has to settle what waits there.")

    @property
    def http(self) -> int:
        """The HTTP status; 500 for an error that has no HTTP form, since meeting it there is a fault."""
        return self.value.http or 500

    @property
    def close(self) -> int:
        """The WebSocket close code; 1011 (RFC 6455: internal error) for an error that never closes."""
        return self.value.close or 1011

    @property
    def retry(self) -> bool:
        """Whether the same thing may succeed later."""
        return self.value.retry


NORMAL_CLOSURE = 1000
GOING_AWAY = 1001

_COME_BACK = frozenset({1001, 1005, 1006, 1011, 1012, 1013})


def may_reconnect(close: int) -> bool:
    """Tell whether a client may reconnect after this close code.

    1005 and 1006 (no code, lost connection) and 1011 (a fault of the server) are included: the
    peer never said stop.
    """
    return close in _COME_BACK or 4000 <= close <= 4499
