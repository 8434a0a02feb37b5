"""The exceptions of the SDK besides ArtcafeError, and the mapping of a server's refusals to them."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import Error

_BY_CLOSE = {code.value.close: code for code in Code if code.value.close is not None}

_BY_STATUS = {
    401: Code.unauthorized,
    403: Code.forbidden,
    404: Code.not_found,
    408: Code.login_timeout,
    429: Code.too_many_connections,
}


class SlowSubscriptionError(ArtcafeError):
    """The loop over a subscription was slower than its messages, so the oldest `dropped` ones are lost.

    Iterating again goes on with the oldest message that was kept. Other subscriptions lost nothing.
    """

    def __init__(self, dropped: int) -> None:
        self.dropped = dropped
        super().__init__(
            Code.slow_consumer,
            "Messages came faster than the loop over the subscription took them, and some were dropped.",
            details={"dropped": dropped},
        )


class OutcomeUnknownError(ArtcafeError):
    """Something was sent, and it is not known whether it was done: its answer never came, or the server
    itself does not know whether the bus has the message.

    Publishing it again may deliver it twice; leaving it may lose it. The caller has to choose.
    """

    def __init__(self, message: str | None = None) -> None:
        super().__init__(Code.outcome_unknown, message)


class NoRespondersError(ArtcafeError):
    """Nobody who could answer the request listens, on whatever server: nobody has it."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(Code.no_responders, message)


class RequestTimeoutError(ArtcafeError):
    """A request was not answered in its time. Whoever got it may have acted upon it, or may still do so."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(Code.timeout, message)


class RequestCancelledError(ArtcafeError):
    """A request ended because it was cancelled."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(Code.cancelled, message)


class RemoteError(ArtcafeError):
    """Who was asked refused: `remote_code` is its own code, `message` its words, `sender` who it is."""

    def __init__(self, remote_code: str, message: str, sender: str | None) -> None:
        self.remote_code = remote_code
        self.sender = sender
        super().__init__(
            Code.request_refused, message or remote_code, details={"code": remote_code, "from": sender}
        )


class Refusal(Exception):
    """Raised by a handler of an `Agent` to refuse a request, with a code of its own and words for people: who
    asked gets a RemoteError with both.

    `code` has 1 to 64 characters; of `text` the first 1024 are sent. Raises ValueError for another code.
    """

    def __init__(self, code: str, text: str = "") -> None:
        if not 1 <= len(code) <= 64:
            raise ValueError("The code of a refusal has 1 to 64 characters.")
        self.code = code
        self.text = text[:1024]
        super().__init__(code, text)


class UndecodableError(ArtcafeError):
    """A message came whose payload this client cannot read: `Message.raw` has it as it came.

    The server refuses what receivers could not read (docs/protocol.md); an older one, or somebody on the
    bus, may not.
    """

    def __init__(self, message: str) -> None:
        super().__init__(Code.bad_frame, message)


_REQUESTS: dict[Code, Callable[[str | None], ArtcafeError]] = {
    Code.no_responders: NoRespondersError,
    Code.timeout: RequestTimeoutError,
    Code.cancelled: RequestCancelledError,
}


def copy(error: ArtcafeError) -> ArtcafeError:
    """The same error to raise once more: an exception raised twice would collect both tracebacks."""
    if isinstance(error, OutcomeUnknownError):
        return OutcomeUnknownError(error.message)
    return ArtcafeError(error.code, error.message, retry_after=error.retry_after, details=error.details)


def of_frame(frame: Error) -> ArtcafeError:
    """The error of an `error` frame; a code newer than this client is taken for bad_request."""
    code = Code.__members__.get(frame.code, Code.bad_request)
    if code is Code.outcome_unknown:
        return OutcomeUnknownError(frame.message or None)
    if code in _REQUESTS:
        return _REQUESTS[code](frame.message or None)
    if code is Code.request_refused:
        details = frame.details or {}
        sender = details.get("from")
        return RemoteError(
            str(details.get("code", "")), frame.message, None if sender is None else str(sender)
        )
    wait = None if frame.retry_after_ms is None else max(0, frame.retry_after_ms) / 1000
    return ArtcafeError(code, frame.message or None, retry_after=wait, details=frame.details)


def of_close(close: int, reason: str, refusal: ArtcafeError | None) -> ArtcafeError:
    """The error of a connection that ended with this close code.

    `refusal` is the last `error` frame that answered no frame of ours: when it is about this very
    close, it says more than the close frame had room for.
    """
    if refusal is not None and refusal.code.value.close == close:
        return copy(refusal)
    code = _BY_CLOSE.get(close)
    if code is not None:
        return ArtcafeError(code, reason or None)
    what = reason or "The connection ended"
    if close in {1005, 1006}:
        return ArtcafeError(Code.unavailable, "The connection was lost.")
    if close in {1000, 1001} or 4000 <= close <= 4499:
        return ArtcafeError(Code.going_away, f"{what} (close code {close}).")
    return ArtcafeError(
        Code.forbidden if close >= 4500 else Code.protocol_error, f"{what} (close code {close})."
    )


def of_response(status: int, headers: Mapping[str, str], body: bytes) -> ArtcafeError:
    """The error of an HTTP answer to the upgrade: its problem document (RFC 9457), or its bare status."""
    problem = _problem(body)
    code = Code.__members__.get(str(problem.get("code"))) or _BY_STATUS.get(status)
    if code is None:
        code = Code.unavailable if status >= 500 else Code.bad_request
    detail = problem.get("detail")
    message = detail if isinstance(detail, str) and detail else f"The server answered {status}."
    if code is Code.outcome_unknown:
        return OutcomeUnknownError(message)
    return ArtcafeError(code, message, retry_after=_wait(problem, headers))


def _problem(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


def _wait(problem: dict[str, Any], headers: Mapping[str, str]) -> float | None:
    milliseconds = problem.get("retry_after_ms")
    if isinstance(milliseconds, int) and milliseconds >= 0:
        return milliseconds / 1000
    seconds = headers.get("retry-after", "")
    return float(seconds) if seconds.isdecimal() else None
