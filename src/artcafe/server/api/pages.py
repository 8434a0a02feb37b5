"""Page tokens: a list's cursor, signed for one list and one tenant."""

import base64
import binascii
import hmac
from typing import Annotated, Literal

from fastapi import Query

from artcafe.server.domain.ids import TenantId
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

_MAC_BYTES = 16

Limit = Annotated[int, Query(ge=1, le=200, description="How many at most.")]
NextToken = Annotated[
    str | None,
    Query(max_length=2048, description="`next_token` of the page before; only good for the same question."),
]


Order = Literal["id", "name", "-name", "created_at", "-created_at", "updated_at", "-updated_at"]


class PageTokens:
    """Turns cursors into tokens and back. `of` says which list it is, with everything that was asked."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def seal(self, tenant: TenantId, of: str, cursor: str | None) -> str | None:
        """The token of a cursor; None at the end of a list."""
        if cursor is None:
            return None
        return base64.urlsafe_b64encode(self._mac(tenant, of, cursor) + cursor.encode()).decode().rstrip("=")

    def open(self, tenant: TenantId, of: str, token: str | None) -> str | None:
        """The cursor of a token. Raises bad_request for one that was made for anything else."""
        if token is None:
            return None
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
            cursor = raw[_MAC_BYTES:].decode()
        except (binascii.Error, ValueError):
            raise _foreign() from None
        if not hmac.compare_digest(raw[:_MAC_BYTES], self._mac(tenant, of, cursor)):
            raise _foreign()
        return cursor

    def _mac(self, tenant: TenantId, of: str, cursor: str) -> bytes:
        said = "\n".join((tenant, of, cursor)).encode()
        return hmac.digest(self._secret, b"page token\n" + said, "sha256")[:_MAC_BYTES]


def _foreign() -> ArtcafeError:
    return ArtcafeError(Code.bad_request, "The page token does not belong to this list.")
