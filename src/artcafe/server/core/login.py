"""The login of agents: a challenge, a signature, a principal.

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

from artcafe.server.domain.agent import AgentRules
from artcafe.server.domain.failed_logins import FailedLogins, LoginAttempt, LoginLimits
from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.domain.login_refusal import LoginRefusal
from artcafe.server.domain.principal import AgentPrincipal
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.identity import SignatureVerifier
from artcafe.server.ports.records import ChallengeRecords, Directory, KeyUses
from artcafe.wire.challenge import ANY_CONNECTION, Challenge, is_ours
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.ssh import unwrapped
from artcafe.wire.times import rfc3339

LIFETIME = 30
"""Seconds a challenge may be answered."""

CLIENT_CHALLENGE = re.compile(r"[ -~]{1,1024}")
"""What a challenge that a client chose may be: one line of printable ASCII. No text of ours is."""


class Login:
    """The three ways in, one verifier. Every refusal is the same `unauthorized`, after the same work; the
    `reason` that the error carries is for the log alone (domain.login_refusal). Only an agent that has proven
    itself is told that its tenant is `suspended`."""

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
        limits: LoginLimits,
    ) -> None:
        self._directory = directory
        self._challenges = challenges
        self._uses = uses
        self._verifier = verifier
        self._secret = secret
        self._clock = clock
        self._random = random
        self._failed = FailedLogins(limits)

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

    async def answer(
        self, challenge: Challenge, signature: str, key: str | None = None, *, remote: str = ""
    ) -> AgentPrincipal:
        """Prove the agent of a challenge that this connection was sent, and asks about once.

        `key` is the fingerprint the client says it used; without it every active key is tried that can have
        made the signature. Raises unauthorized, suspended, and rate_limited when too many logins failed from
        the address `remote` or for this agent.
        """
        tenant, agent = TenantId(challenge.tenant), AgentId(challenge.agent)
        attempt, principal = await self._prove(remote, tenant, agent, challenge.text(), signature, key)
        if challenge.expires < self._clock.now():
            raise ArtcafeError(Code.unauthorized, reason=LoginRefusal.challenge_expired)
        return await self._let_in(attempt, principal)

    async def answer_text(
        self, tenant: TenantId, agent: AgentId, text: str, signature: str, *, remote: str = ""
    ) -> AgentPrincipal:
        """Prove an agent by a challenge fetched over REST or, where the tenant allows it, chosen by the
        client. `signature` is as the verifier takes it, or the base64 of an armored one. A fetched challenge
        is good until it expires, a chosen one for ever, each once.

        Raises unauthorized, suspended, and rate_limited: too many failed from `remote`, or for this agent."""
        attempt, principal = await self._prove(remote, tenant, agent, text, unwrapped(signature), None)
        if is_ours(text):
            challenge = Challenge.parse(text)
            unfit = self._unfit(challenge, tenant, agent)
            expires = challenge.expires + LIFETIME if challenge else None
        else:
            allowed = CLIENT_CHALLENGE.fullmatch(text) is not None and await self._allows_chosen(tenant)
            unfit = None if allowed else LoginRefusal.challenge_chosen
            expires = None
        if unfit is not None:
            raise ArtcafeError(Code.unauthorized, reason=unfit)
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        if not await self._challenges.spend(tenant, agent, digest, expires):
            raise ArtcafeError(Code.unauthorized, reason=LoginRefusal.challenge_replayed)
        return await self._let_in(attempt, principal)

    async def keys(self, tenant: TenantId, agent: AgentId) -> frozenset[str] | None:
        """The fingerprints that may be connected as this agent now; None when nobody may."""
        record = await self._candidate(tenant, agent)
        if isinstance(record, LoginRefusal) or await self._is_suspended(tenant):
            return None
        return frozenset(key.fingerprint for key in record.active_keys())

    def _unfit(self, challenge: Challenge | None, tenant: TenantId, agent: AgentId) -> LoginRefusal | None:
        """Why a challenge is not one that this installation made for this agent and any connection, or holds
        no more; None when it is and does."""
        if challenge is None:
            return LoginRefusal.challenge_foreign
        try:
            salt = base64.urlsafe_b64decode(challenge.nonce + "=")[:16]
        except ValueError:
            return LoginRefusal.challenge_foreign
        ours = self._issue(challenge.server, tenant, agent, challenge.connection, salt, challenge.expires)
        same = hmac.compare_digest(ours.text().encode(), challenge.text().encode())
        if not same or challenge.connection != ANY_CONNECTION:
            return LoginRefusal.challenge_foreign
        return None if challenge.expires >= self._clock.now() else LoginRefusal.challenge_expired

    async def _allows_chosen(self, tenant: TenantId) -> bool:
        record = await self._directory.tenant(tenant)
        return record is not None and record.allow_client_challenge

    async def _is_suspended(self, tenant: TenantId) -> bool:
        record = await self._directory.tenant(tenant)
        return record is not None and record.suspended

    async def _candidate(self, tenant: TenantId, agent: AgentId) -> AgentRules | LoginRefusal:
        """The agent that may log in while its tenant is served, or why nobody may under this name."""
        record = await self._directory.tenant(tenant)
        known = await self._directory.agent(tenant, agent)
        if record is None:
            return LoginRefusal.unknown_tenant
        if known is None:
            return LoginRefusal.unknown_agent
        return known if known.enabled else LoginRefusal.agent_disabled

    async def _prove(
        self, remote: str, tenant: TenantId, agent: AgentId, text: str, signature: str, key: str | None
    ) -> tuple[LoginAttempt, AgentPrincipal]:
        """The principal whose key made the signature. What a refusal costs does not tell which agents there
        are, and what keys they have (ports.SignatureVerifier)."""
        record = await self._candidate(tenant, agent)
        keys = [] if isinstance(record, LoginRefusal) else record.active_keys()
        shown = self._verifier.read(signature)
        named = key if shown is None else shown.fingerprint or key
        own = any(known.fingerprint == named for known in keys)
        now = self._clock.monotonic()
        attempt = self._failed.begin(remote, tenant, agent, named if own else None, now)
        fitting = {known.line: known for known in keys if key is None or known.fingerprint == key}
        line = None
        if shown is not None:
            lane = "" if isinstance(record, LoginRefusal) else tenant
            message = text.encode("utf-8", "surrogatepass")
            line = await self._verifier.prove(lane, list(fitting), message, shown)
        if isinstance(record, LoginRefusal):
            raise ArtcafeError(Code.unauthorized, reason=record)
        if line is not None:
            return attempt, AgentPrincipal(tenant, agent, fitting[line].fingerprint, record.incarnation)
        reason = LoginRefusal.bad_signature if fitting else _without_key(record, key)
        raise ArtcafeError(Code.unauthorized, reason=reason)

    async def _let_in(self, attempt: LoginAttempt, principal: AgentPrincipal) -> AgentPrincipal:
        """The login of a key that still is the agent's: it may have been revoked while it was checked.

        Raises unauthorized, and suspended: only here it is known to be one of the tenant who asks.
        """
        if await self._is_suspended(principal.tenant):
            self._failed.succeeded(attempt)
            raise ArtcafeError(Code.suspended, reason=LoginRefusal.tenant_suspended)
        keys = await self.keys(principal.tenant, principal.agent)
        if keys is None or principal.fingerprint not in keys:
            raise ArtcafeError(Code.unauthorized, reason=LoginRefusal.revoked_meanwhile)
        self._failed.succeeded(attempt)
        now = rfc3339(self._clock.now())
        self._uses.used(principal.tenant, principal.agent, principal.fingerprint, now)
        return principal


def _without_key(agent: AgentRules, key: str | None) -> LoginRefusal:
    """Why no key of the agent was tried: it has none, or none of this fingerprint, or they are revoked."""
    if not agent.keys:
        return LoginRefusal.no_key
    if key is None or any(known.fingerprint == key for known in agent.keys):
        return LoginRefusal.key_revoked
    return LoginRefusal.unknown_key
