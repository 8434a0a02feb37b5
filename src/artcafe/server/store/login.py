"""Answered challenges in the store."""

from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.store import addresses as at
from artcafe.server.store.item import ABSENT, Conflict, Put
from artcafe.server.store.partitions import NOWHERE
from artcafe.server.store.table import Table


class ChallengeTable:
    """ports.ChallengeRecords."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def spend(self, tenant: TenantId, agent: AgentId, challenge: str, expires: int | None) -> bool:
        """Take a challenge for ever, or until `expires`; False when it was taken before, and where there is
        no such tenant."""
        partition = await self._table.partition(tenant)
        if partition == NOWHERE:
            return False
        try:
            await self._table.write(
                Put(at.challenges(partition), f"{agent}#{challenge}", {}, ABSENT, expires)
            )
        except Conflict:
            return False
        return True
