"""The public keys of an OIDC issuer: fetched over HTTP, checked, remembered.

The rules are those of RFC 7517 (JSON Web Key). An issuer that is slow, down or poisoned must neither
lock everybody out nor let anybody in, and must not be asked more often because somebody invents names.
"""

import asyncio
import ipaddress
import logging
from collections.abc import Mapping

import httpx
import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from artcafe.server.ports.clock import Clock
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

logger = logging.getLogger(__name__)

ALGORITHM = "RS256"
"""The only one: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 section 3.3)."""

MAX_KID = 128
"""Characters of a key's name."""

_MAX_DOCUMENT = 64_000  # bytes
_MAX_KEYS = 20
_AFTER_CANCELLED = 1.0  # seconds


class UnknownKeyError(Exception):
    """The issuer has keys, but none of that name."""


class FetchError(Exception):
    """The issuer gave no usable document; the text quotes nothing of it."""


class Keys:
    """The keys of one issuer by `kid`; safe for any number of concurrent callers in one event loop.

    They are fetched when a name is missing or the keys are older than `fresh`, at most once per
    `cooldown` and never twice at the same time; an attempt takes at most `patience`. While fetching
    fails, the keys there are serve until they are older than `usable`. All in seconds. So a key that
    the issuer withdrew is accepted for up to `fresh`, and one it just added is refused for up to
    `cooldown`.
    """

    def __init__(
        self,
        url: str,
        client: httpx.AsyncClient,
        clock: Clock,
        *,
        fresh: float,
        cooldown: float,
        usable: float,
        patience: float = 5,
    ) -> None:
        self._url = url
        self._client = client
        self._clock = clock
        self._fresh_for = fresh
        self._cooldown = cooldown
        self._usable_for = usable
        self._patience = patience
        self._keys: Mapping[str, RSAPublicKey] = {}
        self._fetched_at = 0.0  # monotonic; only read when there are keys
        self._next_fetch: float | None = None  # monotonic; None before the first attempt
        self._fetching = asyncio.Lock()

    async def ready(self) -> None:
        """Fetch the keys where they are missing or old. Raises unavailable without any usable ones."""
        if not self._keys or not self._younger_than(self._fresh_for):
            await self._refresh()
        self._check_usable()

    async def get(self, kid: str) -> RSAPublicKey:
        """The key of that name.

        Raises UnknownKeyError, or ArtcafeError(unavailable) with `retry_after` without any usable keys.
        """
        known = kid in self._keys and self._younger_than(self._usable_for)
        # Whoever has a key need not wait for the one who is fetching newer ones.
        if not known or (not self._younger_than(self._fresh_for) and not self._fetching.locked()):
            await self._refresh()
        self._check_usable()
        if kid not in self._keys:
            raise UnknownKeyError("unknown kid")
        return self._keys[kid]

    def _check_usable(self) -> None:
        if not self._keys or not self._younger_than(self._usable_for):
            raise ArtcafeError(
                Code.unavailable,
                "The keys of the login issuer cannot be fetched right now.",
                retry_after=max(1.0, (self._next_fetch or 0.0) - self._clock.monotonic()),
            )

    def _younger_than(self, seconds: float) -> bool:
        return self._clock.monotonic() - self._fetched_at <= seconds

    async def _refresh(self) -> None:
        async with self._fetching:
            if self._next_fetch is not None and self._clock.monotonic() < self._next_fetch:
                return
            pause = self._cooldown
            try:
                self._keys = usable_keys(await fetch_document(self._client, self._url, self._patience))
                self._fetched_at = self._clock.monotonic()
            except FetchError as failure:
                # What is there stays: an answer without a usable key must not lock everybody out.
                logger.warning("The keys of the issuer could not be fetched: %s", failure)
            except asyncio.CancelledError:
                # A caller who hangs up must neither use up the cooldown nor open a way around it.
                pause = min(pause, _AFTER_CANCELLED)
                raise
            finally:
                self._next_fetch = self._clock.monotonic() + pause


def usable_keys(document: Mapping[str, object]) -> Mapping[str, RSAPublicKey]:
    """The RS256 keys of a JWK set, by `kid`; never empty.

    A key that cannot sign for us is left out (RFC 7517 section 5). Raises FetchError for a set without
    any usable key, with too many, or with two under one name.
    """
    entries = document.get("keys")
    if not isinstance(entries, list) or len(entries) > _MAX_KEYS:
        raise FetchError(f"not a set of at most {_MAX_KEYS} keys")
    keys: dict[str, RSAPublicKey] = {}
    for entry in entries:
        found = _public_key(entry)
        if found is None:
            continue
        kid, key = found
        if keys.setdefault(kid, key) != key:
            raise FetchError("two keys share one kid")
    if not keys:
        raise FetchError("no usable key in the set")
    return keys


def _public_key(entry: object) -> tuple[str, RSAPublicKey] | None:
    if not isinstance(entry, dict):
        return None
    kid = entry.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID:
        return None
    if (
        entry.get("kty") != "RSA"
        or entry.get("use", "sig") != "sig"
        or entry.get("alg", ALGORITHM) != ALGORITHM
    ):
        return None
    try:
        key = jwt.PyJWK(entry, ALGORITHM).key
    except jwt.PyJWTError as error:
        logger.warning("A key of the issuer is ignored: %s", type(error).__name__)
        return None
    # A published private key is not an RSAPublicKey: what everybody can sign with proves nothing.
    if not isinstance(key, RSAPublicKey) or not 2048 <= key.key_size <= 8192:
        logger.warning("A key of the issuer is ignored: private, weak or enormous")
        return None
    if not 65_537 <= key.public_numbers().e < 2**33:  # FIPS 186-5 asks for more than 2**16
        logger.warning("A key of the issuer is ignored: unusual exponent")
        return None
    return kid, key


async def fetch_document(client: httpx.AsyncClient, url: str, patience: float = 5) -> dict[str, object]:
    """GET a small JSON object within `patience` seconds: no redirects, no compression, a limit on bytes.

    Raises FetchError.
    """
    body = bytearray()
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    try:
        async with (
            asyncio.timeout(patience),
            client.stream("GET", url, headers=headers, follow_redirects=False) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise FetchError(f"status {response.status_code}")
            async for chunk in response.aiter_raw():  # raw, so that nothing unfolds
                body += chunk
                if len(body) > _MAX_DOCUMENT:
                    raise FetchError(f"more than {_MAX_DOCUMENT} bytes")
    except (httpx.HTTPError, TimeoutError) as error:
        raise FetchError(type(error).__name__) from error
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except (ValueError, RecursionError) as error:
        raise FetchError("not a JSON object") from error


def check_url(url: str, what: str, *, allow_insecure_loopback: bool) -> None:
    """Raise ValueError unless the URL is plain https, or http to a loopback address where that is allowed.

    It is read by the library that will connect to it, so that both see the same host.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise ValueError(f"The {what} is not a URL.") from None
    if not parsed.host or parsed.userinfo or "#" in url:
        raise ValueError(f"The {what} must be a URL with a host, without a user or a fragment.")
    insecure_but_near = allow_insecure_loopback and parsed.scheme == "http" and _is_loopback(parsed.host)
    if parsed.scheme != "https" and not insecure_but_near:
        raise ValueError(f"The {what} must be an https URL; http is for the loopback of embedded mode.")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
