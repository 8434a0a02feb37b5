"""A directory of a single tenant, whose rules may be such as no store would take."""

from artcafe.server.domain.channel_rules import ChannelRules
from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.domain.tenant import Tenant


class OneTenant:
    """ports.Directory of one tenant without agents; of none once `tenant` is None."""

    def __init__(self, tenant: Tenant | None, rules: ChannelRules | None = None) -> None:
        self.only = tenant
        self._rules = rules or ChannelRules([])

    async def tenant(self, tenant: TenantId) -> Tenant | None:
        """See ports.Directory."""
        return self.only

    async def agent(self, tenant: TenantId, agent: AgentId) -> None:
        """See ports.Directory."""

    async def rules(self, tenant: TenantId) -> ChannelRules:
        """See ports.Directory."""
        return self._rules
