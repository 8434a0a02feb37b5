"""The one exception that carries a row of the error table."""

from artcafe.wire.codes import Code


class ArtcafeError(Exception):
    """Something was refused or failed, and `code` says what.

    `message` is for people and never repeats the caller's input. `retry_after` is in seconds.
    `details` is JSON-compatible and optional. `reason` is the true reason where clients are not told it: for
    the operator's log alone, never sent, and free of secrets.
    """

    def __init__(
        self,
        code: Code,
        message: str | None = None,
        *,
        retry_after: float | None = None,
        details: dict[str, object] | None = None,
        reason: str | None = None,
    ) -> None:
        self.code = code
        self.message = message or code.value.when
        self.retry_after = retry_after
        self.details = details
        self.reason = reason
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"
