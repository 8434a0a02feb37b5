"""Grammar of subjects, patterns and queue names in NATS, and the match of a pattern and a subject.

The rules are those of docs.nats.io, "Subject-Based Messaging". Checked at this door, so that nothing
that passes it can end a line of the NATS protocol or be refused by the server later, when nobody waits.
"""

import re

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

# Printable ASCII: all of it in a pattern, without the wildcards in a subject.
_SUBJECT = re.compile(r"[!-)+-=?-~]+")
_PATTERN = re.compile(r"[!-~]+")


def check_subject(text: str) -> None:
    """Raises invalid_subject unless a message can be published to it."""
    if _SUBJECT.fullmatch(text) is None or text[0] == "." or text[-1] == "." or ".." in text:
        raise ArtcafeError(Code.invalid_subject, "The bus takes no such subject.")


def check_pattern(text: str) -> None:
    """Raises invalid_subject unless it can be subscribed to."""
    tokens = text.split(".")
    last = len(tokens) - 1
    if _PATTERN.fullmatch(text) is None or any(
        not token or (len(token) > 1 and ("*" in token or ">" in token)) or (token == ">" and position < last)
        for position, token in enumerate(tokens)
    ):
        raise ArtcafeError(Code.invalid_subject, "The bus takes no such pattern.")


def check_queue(name: str) -> None:
    """Raises invalid_subject unless it can name a queue group."""
    if _PATTERN.fullmatch(name) is None:
        raise ArtcafeError(Code.invalid_subject, "The bus takes no such queue name.")


def receives(pattern: str, subject: str) -> bool:
    """Tell whether a subscription to a checked pattern receives a checked subject."""
    wanted, given = pattern.split("."), subject.split(".")
    for position, token in enumerate(wanted):
        if token == ">":
            return len(given) > position
        if position >= len(given) or token not in {"*", given[position]}:
            return False
    return len(wanted) == len(given)
