"""The challenge over REST, for agents that fetch it before they connect."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from artcafe.server import events
from artcafe.server.api import journal
from artcafe.server.api.admission import AdmittingRoute
from artcafe.server.api.deps import Cases, Resources, remote_address
from artcafe.server.api.fields import Body
from artcafe.server.api.request_ids import request_id
from artcafe.server.domain.ids import PATTERN, AgentId, TenantId, agent_id, tenant_id
from artcafe.server.domain.login_refusal import LoginRefusal
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.times import rfc3339

router = APIRouter(route_class=AdmittingRoute, prefix="/api/v1", tags=["agent login"])

REST = "rest"
"""This way in, as it is logged."""


class ChallengeRequest(Body):
    """The agent that wants to log in."""

    tenant_id: Annotated[str, Field(pattern=PATTERN)]
    agent_id: Annotated[str, Field(pattern=PATTERN)]


class ChallengeIssued(BaseModel):
    """Sign the bytes of `challenge`, all of them, the last newline included."""

    challenge: str
    expires_at: str
    tenant_id: str
    agent_id: str


class ChallengeAnswer(Body):
    """`response` is a signature over all bytes of `challenge`, in one of three forms: base64 of a raw one, as
    in the example (RSASSA-PKCS1-v1_5 with SHA-256, ECDSA as DER, or Ed25519, by the type of the key); the
    armored SSHSIG that `ssh-keygen -Y sign -n agent-auth.v1@artcafe` prints; or the base64 of that."""

    tenant_id: Annotated[str, Field(max_length=63)]
    agent_id: Annotated[str, Field(max_length=63)]
    challenge: Annotated[str, Field(max_length=2048)]
    response: Annotated[str, Field(max_length=16384)]


class Verified(BaseModel):
    """The signature holds. `token` is always null: the WebSocket connection is the session."""

    valid: bool
    message: str
    token: str | None = None


@router.post("/agents/auth/challenge")
@router.post("/auth/agent/challenge", include_in_schema=False)
async def request_challenge(
    body: ChallengeRequest, request: Request, cases: Cases, resources: Resources
) -> ChallengeIssued:
    """A challenge, good once and for 30 seconds; also for agents that do not exist."""
    server = resources.server_name(request.headers.get("host", ""))
    challenge = cases.login.challenge(server, tenant_id(body.tenant_id), agent_id(body.agent_id))
    return ChallengeIssued(
        challenge=challenge.text(),
        expires_at=rfc3339(challenge.expires),
        tenant_id=challenge.tenant,
        agent_id=challenge.agent,
    )


@router.post("/agents/auth/verify")
@router.post("/auth/agent/verify", include_in_schema=False)
async def verify_challenge(
    body: ChallengeAnswer, request: Request, cases: Cases, resources: Resources
) -> Verified:
    """Check a signature and spend its challenge. A refusal is 401 and says no more, or 429 after many."""
    remote = remote_address(request, resources)
    try:
        tenant, agent = _names(body)
        principal = await cases.login.answer_text(tenant, agent, body.challenge, body.response, remote=remote)
    except ArtcafeError as error:
        journal.login_refused(
            request.scope, remote, error, way=REST, tenant=body.tenant_id, agent=body.agent_id
        )
        raise
    events.note(
        events.LoginAccepted(
            way=REST,
            tenant=tenant,
            agent=agent,
            key=principal.fingerprint,
            address=remote,
            request=request_id(request.scope),
        )
    )
    return Verified(valid=True, message="The signature is valid.")


def _names(body: ChallengeAnswer) -> tuple[TenantId, AgentId]:
    try:
        return tenant_id(body.tenant_id), agent_id(body.agent_id)
    except ArtcafeError:
        # As little as for an agent that does not exist.
        raise ArtcafeError(Code.unauthorized, reason=LoginRefusal.bad_name) from None
