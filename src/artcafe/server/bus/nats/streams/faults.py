"""Faults: the errors of JetStream (github.com/nats-io/nats-server, server/errors.json), and what they are
here."""

import msgspec

from artcafe.server.bus.unavailable import bus_unavailable
from artcafe.server.events import StoringFailed, note
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

CONSUMER_NOT_FOUND = 10014
NO_MORE_CONSUMERS = 10026
MESSAGE_NOT_FOUND = 10037
NAME_IN_USE = 10058
"""There is a stream of this name, of another make."""
STREAM_NOT_FOUND = 10059
NO_SUCH_MESSAGE = frozenset({MESSAGE_NOT_FOUND, 10043})
"""What is answered where a message that is to be removed is gone."""
WRONG_STREAM = 10060
_TOO_LARGE = 10054
_STORE_FAILED = 10077
_ID_IN_PROCESS = 10158
"""A message with the same id is being replicated; whether it will be stored is not decided."""


class Fault(msgspec.Struct, frozen=True):
    """An error in an answer of JetStream."""

    err_code: int = 0
    description: str = ""


def meaning(fault: Fault) -> ArtcafeError:
    """Returns the error of what was refused with this fault. Nothing of it was stored, unless it is
    outcome_unknown."""
    code = fault.err_code
    if code == _STORE_FAILED and "maximum" in fault.description:  # Else the disk failed.
        return ArtcafeError(Code.channel_full, "The channel is full, and may not forget what it holds.")
    if code == _TOO_LARGE:
        return ArtcafeError(Code.too_large, "The message is larger than the channel takes.")
    if code in {STREAM_NOT_FOUND, WRONG_STREAM}:
        return stream_gone()
    if code == _ID_IN_PROCESS:
        return outcome_unknown()
    note(StoringFailed(reason=f"{fault.description} ({code})"))
    return bus_unavailable()


def stream_gone() -> ArtcafeError:
    """Returns the error of a stream that was deleted."""
    return ArtcafeError(Code.not_found, "The channel stores nothing any more.")


def outcome_unknown() -> ArtcafeError:
    """Returns the error of what was sent and not answered."""
    return ArtcafeError(
        Code.outcome_unknown, "It is not known whether the message is stored; send it again under its id."
    )
