"""Agents' login: an SSH signature of a challenge, in band or in the URL."""

from collections.abc import Callable

from artcafe.server.core.login import Login
from artcafe.server.domain.ids import AgentId, TenantId, agent_id, tenant_id
from artcafe.server.domain.login_refusal import LoginRefusal
from artcafe.server.gateway.dialects.dialect import Dialect
from artcafe.server.gateway.dialects.legacy import LegacyDialect, WrappedDialect
from artcafe.server.gateway.dialects.native import NativeDialect
from artcafe.server.gateway.login.pending import PendingLogins
from artcafe.server.gateway.sessions.authentication import Admission, Authenticated
from artcafe.server.gateway.websocket.handshake import Upgrade
from artcafe.wire import frames
from artcafe.wire.challenge import NAMESPACE, Challenge
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.times import rfc3339

AGENT_PATH = "/api/v1/ws/agent/"

OLDER_AGENT_PATH = "/ws/agent/"
"""Where clients of dialect B connect."""


class ChallengeAuthenticator:
    """authentication.Authenticator: the agent signs a challenge that this connection was sent. One answer is
    looked at."""

    def __init__(self, login: Login, challenge: Challenge, remote: str) -> None:
        self._login = login
        self._challenge = challenge
        self._remote = remote
        self._answered = False

    def question(self) -> frames.Challenge:
        """The challenge."""
        return frames.Challenge(
            namespace=NAMESPACE,
            nonce=self._challenge.nonce,
            expires_at=rfc3339(self._challenge.expires),
            text=self._challenge.text(),
        )

    async def authenticate(self, message: bytes) -> Authenticated:
        """Check the signature. Raises unauthorized, and so for each answer but the first, login_throttled."""
        if self._answered:
            raise ArtcafeError(Code.unauthorized, reason=LoginRefusal.second_answer)
        self._answered = True
        try:
            auth = frames.decode_auth(message)
        except (ValueError, RecursionError):
            raise ArtcafeError(Code.unauthorized, reason=LoginRefusal.bad_answer) from None
        try:
            principal = await self._login.answer(
                self._challenge, auth.signature, auth.key, remote=self._remote
            )
        except ArtcafeError as error:
            if error.code is Code.rate_limited:  # It has no code that closes.
                raise ArtcafeError(Code.login_throttled, retry_after=error.retry_after) from None
            raise
        features = () if auth.client is None else auth.client.features
        return Authenticated(principal, cancellations=frames.CANCELLATIONS in features)


class AgentLogin:
    """Decides about clients at the paths of agents."""

    def __init__(
        self, login: Login, pending_logins: PendingLogins, server_name: Callable[[str], str]
    ) -> None:
        self._login = login
        self._pending_logins = pending_logins
        self._server_name = server_name

    async def enter(self, upgrade: Upgrade, connection_id: str) -> Admission:
        """Raises not_found, unauthorized, rate_limited, too_many_connections, unavailable."""
        path, older = _place(upgrade.path)
        tenant, agent = _who(upgrade, path)
        ours = frames.SUBPROTOCOL in upgrade.protocols
        dialect, protocol = (NativeDialect(), frames.SUBPROTOCOL) if ours else (older, None)
        text, signature = (upgrade.parameter(name) for name in ("challenge", "signature"))
        if text is not None and signature is not None:
            with self._pending_logins.counted(upgrade.remote):
                principal = await self._login.answer_text(
                    tenant, agent, text, signature, remote=upgrade.remote
                )
            return Admission(dialect, Authenticated(principal), protocol)
        if not ours:
            raise ArtcafeError(
                Code.unauthorized,
                f"Offer the subprotocol {frames.SUBPROTOCOL}, or bring challenge and signature.",
                reason=LoginRefusal.no_credentials,
            )
        self._pending_logins.require_room(upgrade.remote)
        server = self._server_name(upgrade.host)
        challenge = self._login.challenge(server, tenant, agent, connection_id)
        return Admission(dialect, ChallengeAuthenticator(self._login, challenge, upgrade.remote), protocol)


def _place(path: str) -> tuple[str, Dialect]:
    """The path that a client came to, and what is spoken there by who offers no subprotocol."""
    for prefix, dialect in ((AGENT_PATH, LegacyDialect()), (OLDER_AGENT_PATH, WrappedDialect())):
        if path.startswith(prefix):
            return prefix, dialect
    raise ArtcafeError(Code.not_found, "There is no WebSocket here.")


def _who(upgrade: Upgrade, path: str) -> tuple[TenantId, AgentId]:
    try:
        tenant = tenant_id(upgrade.parameter("tenant_id") or upgrade.headers.get("x-tenant-id", ""))
        return tenant, agent_id(upgrade.path.removeprefix(path))
    except ArtcafeError:
        # As little as for an agent that does not exist.
        raise ArtcafeError(Code.unauthorized, reason=LoginRefusal.bad_name) from None
