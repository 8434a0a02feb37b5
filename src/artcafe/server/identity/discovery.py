"""An issuer's discovery document, fetched on demand and cached."""

import asyncio
import logging
from collections.abc import Mapping

import httpx

from artcafe.server.identity.jwks import FetchError, check_url, fetch_document
from artcafe.server.ports.clock import Clock
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

logger = logging.getLogger(__name__)

ENDPOINTS = (
    "authorization_endpoint",
    "token_endpoint",
    "device_authorization_endpoint",
    "end_session_endpoint",
    "revocation_endpoint",
)
"""What browsers and command lines are sent to."""

_FRESH = 3600.0
_COOLDOWN = 5.0  # seconds after a failure in which nobody is asked again


class IssuerDiscovery:
    """ports.Discovery. A document that was had once is given while newer ones cannot be had.

    `given` are endpoints that an operator set: they go before the issuer's own, which is not asked at all
    when a browser needs no others. Raises ValueError for one that is no https URL, as `check_url`.
    """

    def __init__(
        self,
        issuer: str,
        client: httpx.AsyncClient,
        clock: Clock,
        *,
        given: Mapping[str, str],
        allow_insecure_loopback: bool = False,
    ) -> None:
        for name, url in given.items():
            check_url(url, name, allow_insecure_loopback=allow_insecure_loopback)
        self._issuer = issuer
        self._client = client
        self._clock = clock
        self._given = given
        self._near = allow_insecure_loopback
        self._document: Mapping[str, object] | None = None
        self._ask_at = 0.0  # monotonic
        self._asking = asyncio.Lock()

    async def document(self) -> Mapping[str, object]:
        """The document at /.well-known/openid-configuration, at most an hour old while the issuer answers.

        An endpoint of it that is no https URL is left out. Raises unavailable when none was ever had, or
        it is about another issuer.
        """
        if {"authorization_endpoint", "token_endpoint"} <= self._given.keys():
            return {"issuer": self._issuer, **self._given}
        async with self._asking:
            now = self._clock.monotonic()
            if now >= self._ask_at:
                self._ask_at = now + _COOLDOWN
                found = await self._fetched()
                if found is not None:
                    self._document, self._ask_at = found, now + _FRESH
        if self._document is None:
            raise ArtcafeError(Code.unavailable, "The login issuer does not answer right now.")
        return {**self._document, **self._given}

    async def _fetched(self) -> Mapping[str, object] | None:
        try:
            found = await fetch_document(
                self._client, self._issuer.removesuffix("/") + "/.well-known/openid-configuration"
            )
        except FetchError as failure:
            logger.warning("The configuration of the issuer could not be fetched: %s", failure)
            return None
        if found.get("issuer") != self._issuer:
            logger.warning("The issuer's configuration names another issuer.")
            return None
        return {name: value for name, value in found.items() if name not in ENDPOINTS or self._safe(value)}

    def _safe(self, url: object) -> bool:
        try:
            check_url(f"{url}", "endpoint", allow_insecure_loopback=self._near)
        except ValueError as fault:
            logger.warning("An endpoint of the issuer is left out: %s", fault)
            return False
        return True
