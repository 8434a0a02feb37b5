"""The parts of the gateway that all sessions share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from artcafe.server.core.publishing.publisher import MessageServices
from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.gateway.fanout.roster import Rosters
from artcafe.server.gateway.sessions.client import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionServices:
    """The parts of the gateway that all sessions share."""

    messages: MessageServices
    start: Callable[[Work], None]
    """Runs work as a task of the gateway's."""
    rosters: Rosters
    said: Callable[[TenantId, AgentId, str, dict[str, Any]], None]
    """Keeps what an agent told of itself."""
    require_owner: Callable[[TenantId, str], Awaitable[None]]
    """Raises not_found where there is nobody whose inbox this would be."""
