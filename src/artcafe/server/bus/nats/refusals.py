"""The errors of a nats-server (-ERR) by name, and whether the connection survives each.

The texts are those of github.com/nats-io/nats-server, server/client.go and server/errors.go.
"""

import re
from enum import StrEnum


class Refusal(StrEnum):
    """What was refused, in words for a log."""

    permission = "not allowed"
    subject = "a subject that NATS does not take"
    subscriptions = "too many subscriptions"
    login = "the login"
    connections = "too many connections"
    payload = "a message that is too large"
    stale = "a connection on which nothing was heard"
    slow = "a reader that is too slow"
    encryption = "a connection without TLS"
    protocol = "a command"
    other = "for a reason of its own"

    @property
    def survives(self) -> bool:
        """Whether the server keeps the connection. After an unknown reason it is not relied upon."""
        return self in {Refusal.permission, Refusal.subject, Refusal.subscriptions}


# The first that fits: the beginning of the text, whatever its case.
_NAMES = {
    "permissions violation": Refusal.permission,
    "invalid subject": Refusal.subject,
    "invalid publish subject": Refusal.subject,
    "maximum subscriptions exceeded": Refusal.subscriptions,
    "authorization violation": Refusal.login,
    "authentication ": Refusal.login,
    "user authentication ": Refusal.login,
    "account authentication ": Refusal.login,
    "maximum connections exceeded": Refusal.connections,
    "maximum account active connections exceeded": Refusal.connections,
    "connection throttling": Refusal.connections,
    "maximum payload": Refusal.payload,
    "stale connection": Refusal.stale,
    "slow consumer": Refusal.slow,
    "secure connection": Refusal.encryption,
    "maximum control line": Refusal.protocol,
    "unknown protocol": Refusal.protocol,
    "parser error": Refusal.protocol,
    "invalid client protocol": Refusal.protocol,
    "message headers not supported": Refusal.protocol,
}

_DENIED = re.compile(r'permissions violation for subscription to "([^"]*)"', re.IGNORECASE)


def refusal(text: str) -> Refusal:
    """What the text of an -ERR is about."""
    lower = text.lower()
    return next((kind for start, kind in _NAMES.items() if lower.startswith(start)), Refusal.other)


def denied_pattern(text: str) -> str | None:
    """The pattern that may not be subscribed to; None where something else was refused."""
    match = _DENIED.match(text)
    return match[1] if match else None
