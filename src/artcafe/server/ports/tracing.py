"""Traces: what publishing tells of messages that carry the context of one (W3C Trace Context)."""

from collections.abc import Callable

from artcafe.server.domain.ids import TenantId

TRACEPARENT = "traceparent"
"""The header of a message, and of a request, that names its trace."""

TracePublication = Callable[[TenantId, str, str, str, dict[str, str]], dict[str, str]]
"""Called with tenant, sender, subject, id and headers of each message that has headers; gives the headers
with which it is published. Must not block or raise."""
