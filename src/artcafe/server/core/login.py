"""Agents log in: a challenge, a signature, a principal.

Challenges need no memory until they are answered: the nonce carries a keyed hash (RFC 2104) over
everything the text says, so any process of the installation recognises what any other issued, and
what was never issued is refused. A challenge that any connection may bring is spent in the store when it is
answered, once for all processes. One that was sent over a connection is good for that one, which takes a
single answer.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable

from artcafe.server.domain.agent import Agent
from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.domain.principal import AgentPrincipal
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.identity import SignatureVerifier
from artcafe.server.ports.records import ChallengeRecords, Directory, KeyUses
from artcafe.wire.challenge import ANY_CONNECTION, Challenge, is_ours
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.times import rfc3339

LIFETIME = 30
"""Seconds a challenge may be answered."""

CLIENT_CHALLENGE = re.compile(r"[ -~]{1,1024}")
"""What a challenge that a client chose may be: one line of printable ASCII. No text of ours is."""


class Login:
    """The three ways in, one verifier. Every refusal is the same `unauthorized`, after the same work."""

    def __init__(
        self,
        *,
        directory: Directory,
        challenges: ChallengeRecords,
        uses: KeyUses,
        verifier: SignatureVerifier,
        secret: bytes,
        clock: Clock,
        random: Callable[[int], bytes],
    ) -> None:
        self._directory = directory
        self._challenges = challenges
        self._uses = uses
        self._verifier = verifier
        self._secret = secret
        self._clock = clock
        self._random = random

    def challenge(
        self, server: str, tenant: TenantId, agent: AgentId, connection: str = ANY_CONNECTION
    ) -> Challenge:
        """A new challenge, also for agents that do not exist: nobody learns which do."""
        expires = int(self._clock.now()) + LIFETIME
        return self._issue(server, tenant, agent, connection, self._random(16), expires)

    def _issue(
        self, server: str, tenant: str, agent: str, connection: str, salt: bytes, expires: int
    ) -> Challenge:
        said = f"{server}\n{tenant}\n{agent}\n{connection}\n{expires}\n".encode()
        mac = hmac.digest(self._secret, salt + said, "sha256")[:16]
        nonce = base64.urlsafe_b64encode(salt + mac).decode().rstrip("=")
        return Challenge(server, tenant, agent, connection, nonce, expires)

    async def answer(self, challenge: Challenge, signature: str, key: str | None = None) -> AgentPrincipal:
        """Prove the agent of a challenge that this connection was sent, and asks about once. Raises
        unauthorized.

        `key` is the fingerprint the client says it used; without it every active key is tried.
        """
        tenant, agent = TenantId(challenge.tenant), AgentId(challenge.agent)
        record = await self._candidate(tenant, agent)
        principal = self._prove(tenant, agent, record, challenge.text(), signature, key)
        if principal is None or challenge.expires < self._clock.now():
            raise ArtcafeError(Code.unauthorized)
        self._note(principal)
        return principal

    async def answer_text(
        self, tenant: TenantId, agent: AgentId, text: str, signature: str
    ) -> AgentPrincipal:
        """Prove an agent by a challenge fetched over REST or, where the tenant allows it, chosen by the
        client. Raises unauthorized. A fetched challenge is good until it expires, a chosen one for ever,
        each once."""
        record = await self._candidate(tenant, agent)
        principal = self._prove(tenant, agent, record, text, signature, None)
        if is_ours(text):
            challenge = Challenge.parse(text)
            fits = challenge is not None and self._issued(challenge, tenant, agent)
            expires = challenge.expires + LIFETIME if challenge else None
        else:
            fits = CLIENT_CHALLENGE.fullmatch(text) is not None and await self._allows_chosen(tenant)
            expires = None
        if principal is None or not fits:
            raise ArtcafeError(Code.unauthorized)
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        if not await self._challenges.spend(tenant, agent, digest, expires):
            raise ArtcafeError(Code.unauthorized)
        self._note(principal)
        return principal

    async def keys(self, tenant: TenantId, agent: AgentId) -> frozenset[str] | None:
        """The fingerprints that may be connected as this agent now; None when nobody may."""
        record = await self._candidate(tenant, agent)
        return frozenset(key.fingerprint for key in record.active_keys()) if record else None

    def _issued(self, challenge: Challenge, tenant: TenantId, agent: AgentId) -> bool:
        """Whether this installation made exactly this challenge for this agent, and it still holds."""
        try:
            salt = base64.urlsafe_b64decode(challenge.nonce + "=")[:16]
        except ValueError:
            return False
        ours = self._issue(challenge.server, tenant, agent, challenge.connection, salt, challenge.expires)
        return (
            hmac.compare_digest(ours.text().encode(), challenge.text().encode())
            and challenge.connection == ANY_CONNECTION
            and challenge.expires >= self._clock.now()
        )

    async def _allows_chosen(self, tenant: TenantId) -> bool:
        record = await self._directory.tenant(tenant)
        return record is not None and record.allow_client_challenge

    async def _candidate(self, tenant: TenantId, agent: AgentId) -> Agent | None:
        record = await self._directory.tenant(tenant)
        known = await self._directory.agent(tenant, agent)
        if record is None or record.status != "active" or known is None or not known.enabled:
            return None
        return known

    def _prove(
        self,
        tenant: TenantId,
        agent: AgentId,
        record: Agent | None,
        text: str,
        signature: str,
        key: str | None,
    ) -> AgentPrincipal | None:
        """The principal whose key made the signature. An agent without a fitting key costs one
        verification too, of a key that nobody can sign for."""
        message = text.encode("utf-8", "surrogatepass")
        keys = record.active_keys() if record else []
        fitting = [known for known in keys if key is None or known.fingerprint == key]
        if not fitting:
            self._verifier.verify(self._verifier.decoy, message, signature)
            return None
        for known in fitting:
            if self._verifier.verify(known.line, message, signature):
                return AgentPrincipal(tenant, agent, known.fingerprint)
        return None

    def _note(self, principal: AgentPrincipal) -> None:
        now = rfc3339(self._clock.now())
        self._uses.used(principal.tenant, principal.agent, principal.fingerprint, now)
