"""Members in a store, put there as they are."""

from artcafe.server.domain.tenant import Member
from artcafe.server.store.members import MemberTable
from artcafe.server.store.table import Table
from tests.kit.records import an_entry


async def seat(table: Table, member: Member) -> None:
    """Make this the membership, whatever it was before."""
    entry = an_entry(f"seat of {member.user}", member.tenant)
    await MemberTable(table).put(member.tenant, member.user, lambda _: member, entry)
