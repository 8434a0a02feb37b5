"""The public keys of an OIDC issuer: fetched over HTTP, validated, cached.

The rules are those of RFC 7517 (JSON Web Key). An issuer that is slow, down or poisoned must neither
lock everybody out nor let anybody in, and must not be asked more often because somebody invents names.
"""

import asyncio
import ipaddress
import logging
from collections import Counter
from collections.abc import Mapping

import httpx
import jwt
import msgspec
from cachetools import LRUCache
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from artcafe.server.domain.rate import TokenBucket
from artcafe.server.ports.clock import Clock
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

logger = logging.getLogger(__name__)

ALGORITHM = "RS256"
"""The only one: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 section 3.3)."""

MAX_KID = 128
"""Characters of a key's name."""

MAX_DOCUMENT = 1_048_576
"""Bytes of a document of an issuer: a set of keys with their certificate chains (x5c) may be long."""

MAX_KEYS = 1000
"""Entries of a set that are read; those behind them are ignored."""

MAX_TWINS = 3
"""Different keys of one name that are tried."""

LOOKUPS = 4
"""Fetches for names that are unknown, in a row; then one per cooldown."""

_MAX_MODULUS = 8192  # bits
_MAX_UNKNOWN = 1024  # names
_AFTER_CANCELLED = 1.0  # seconds

Named = Mapping[str, tuple[RSAPublicKey, ...]]
"""Keys by `kid`. Almost always there is one of a name."""


class UnknownKeyError(Exception):
    """The issuer has keys, but none of that name."""


class FetchError(Exception):
    """The issuer gave no usable document; the text quotes nothing of it."""


class Keys:
    """The keys of one issuer by `kid`; safe for any number of concurrent callers in one event loop.

    They are fetched when there are none or they are older than `fresh`, and at once for a name that is
    unknown. What is never done twice at the same time is limited: after a failure nothing is fetched for
    `cooldown`; a name that was not in the set is not looked for again for `cooldown`; and names that are
    unknown cause LOOKUPS fetches in a row and one per `cooldown` after that. An attempt takes at most
    `patience`. While fetching fails, the keys there are serve until they are older than `usable`. All in
    seconds. So a key that the issuer withdrew is accepted for up to `fresh`, and one that it just added is
    accepted at once, or within `cooldown` while somebody invents names.
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
        self._keys: Named = {}
        self._fetched_at = 0.0  # monotonic; only read when there are keys
        self._next_fetch: float | None = None  # monotonic; None unless an attempt failed
        self._fetching = asyncio.Lock()
        self._fetches = 0  # that ended
        self._lookups = TokenBucket(1 / cooldown, LOOKUPS, clock.monotonic())
        self._unknown: LRUCache[str, float] = LRUCache(_MAX_UNKNOWN)  # when a name was looked for, monotonic

    async def ready(self) -> None:
        """Fetch the keys where they are missing or old. Raises unavailable without any usable ones."""
        if not self._fresh():
            await self._refresh()
        self._check_usable()

    async def get(self, kid: str) -> tuple[RSAPublicKey, ...]:
        """The keys of that name, one or more.

        Raises UnknownKeyError, or ArtcafeError(unavailable) with `retry_after` without any usable keys.
        """
        if not (self._keys and self._younger_than(self._usable_for)):
            await self._refresh()
        elif kid not in self._keys:
            await self._refresh(kid)
        elif not self._fresh() and not self._fetching.locked():
            # Whoever has a key need not wait for the one who is fetching newer ones.
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

    def _fresh(self) -> bool:
        return bool(self._keys) and self._younger_than(self._fresh_for)

    def _younger_than(self, seconds: float) -> bool:
        return self._clock.monotonic() - self._fetched_at <= seconds

    async def _refresh(self, wanted: str | None = None) -> None:
        """Fetch the keys, because they are old or a name is wanted, unless it is too early."""
        before = self._fetches
        async with self._fetching:
            if self._fetches != before:
                return  # Somebody else fetched them while this caller waited.
            if self._next_fetch is not None and self._clock.monotonic() < self._next_fetch:
                return
            if wanted is not None and self._fresh() and not self._may_look_for(wanted):
                return
            pause = self._cooldown
            try:
                document = await fetch_document(self._client, self._url, self._patience)
                self._keys = _same_objects(self._keys, usable_keys(document))
                self._fetched_at = self._clock.monotonic()
                pause = 0.0
            except FetchError as failure:
                # What is there stays: an answer without a usable key must not lock everybody out.
                logger.warning("The keys of the issuer could not be fetched: %s", failure)
            except asyncio.CancelledError:
                # A caller who hangs up must neither use up the cooldown nor open a way around it.
                pause = min(pause, _AFTER_CANCELLED)
                raise
            finally:
                self._fetches += 1
                self._next_fetch = self._clock.monotonic() + pause

    def _may_look_for(self, kid: str) -> bool:
        now = self._clock.monotonic()
        if now - self._unknown.get(kid, -self._cooldown) < self._cooldown or self._lookups.spend(now):
            return False
        self._unknown[kid] = now
        return True


def usable_keys(document: Mapping[str, object]) -> Named:
    """The RS256 keys of a JWK set, by `kid`; never empty.

    An entry that is no such key is ignored, and nothing but that entry (RFC 7517 section 5); so are those
    after the first MAX_KEYS, and more than MAX_TWINS different keys of one name. Keys for other algorithms
    may have the name of one of ours. Raises FetchError for what is no set, or one without any usable key.
    """
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise FetchError("not a set of keys")
    keys: dict[str, tuple[RSAPublicKey, ...]] = {}
    ignored = Counter[str]()
    for entry in entries[:MAX_KEYS]:
        try:
            kid, key = _public_key(entry)
        except _NoKeyError as reason:
            ignored[f"{reason}"] += 1
            continue
        twins = keys.get(kid, ())
        if key in twins:
            continue
        if len(twins) == MAX_TWINS:
            ignored["too many of one name"] += 1
            continue
        keys[kid] = (*twins, key)
    if len(entries) > MAX_KEYS:
        ignored["too many in the set"] = len(entries) - MAX_KEYS
    reasons = ", ".join(f"{reason} ({count})" for reason, count in ignored.items())
    if not keys:
        raise FetchError(f"no key for {ALGORITHM} in the set: {reasons or 'it is empty'}")
    if reasons:
        logger.info("keys of the issuer are ignored: %s", reasons)
    return keys


def _same_objects(old: Named, new: Named) -> Named:
    """The new keys; those that did not change stay the objects that they were, and tokens proven by them."""
    return {kid: old[kid] if old.get(kid) == keys else keys for kid, keys in new.items()}


class _NoKeyError(Exception):
    """An entry of a set that is no key for us; the text quotes nothing of it."""


def _public_key(entry: object) -> tuple[str, RSAPublicKey]:
    if not isinstance(entry, dict):
        raise _NoKeyError("not an object")
    kid = entry.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID:
        raise _NoKeyError("without a usable kid")
    if (
        entry.get("kty") != "RSA"
        or entry.get("use", "sig") != "sig"
        or entry.get("alg", ALGORITHM) != ALGORITHM
    ):
        raise _NoKeyError("for another algorithm or use")
    # What everybody can sign with proves nothing.
    if "d" in entry:
        raise _NoKeyError("a private key")
    modulus = entry.get("n")
    if isinstance(modulus, str) and len(modulus) > _MAX_MODULUS // 4:  # Base64 takes 6 bits a character.
        raise _NoKeyError("enormous")
    try:
        key = jwt.PyJWK(entry, ALGORITHM).key
    except jwt.PyJWTError:
        raise _NoKeyError("unreadable") from None
    if not isinstance(key, RSAPublicKey) or not 2048 <= key.key_size <= _MAX_MODULUS:
        raise _NoKeyError("weak or enormous")
    if not 65_537 <= key.public_numbers().e < 2**33:  # FIPS 186-5 asks for more than 2**16
        raise _NoKeyError("of an unusual exponent")
    return kid, key


async def fetch_document(client: httpx.AsyncClient, url: str, patience: float = 5) -> dict[str, object]:
    """GET a JSON object within `patience` seconds: no redirects, no compression, a limit on bytes.

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
                if len(body) > MAX_DOCUMENT:
                    raise FetchError(f"more than {MAX_DOCUMENT} bytes")
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
