"""Inboxes: who has one."""

from artcafe.server.domain.ids import HUMAN_PREFIX, AgentId, TenantId
from artcafe.server.ports.records import Directory
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


async def require_owner(directory: Directory, tenant: TenantId, owner: str) -> None:
    """Raises not_found where an inbox would be of an agent that there is not. Any human may come."""
    if not owner.startswith(HUMAN_PREFIX) and await directory.agent(tenant, AgentId(owner)) is None:
        raise ArtcafeError(Code.not_found, "There is no such agent.")
