"""Removes orphaned membership rows of older releases from users' partitions."""

from artcafe.server.domain.ids import UserId
from artcafe.server.store import addresses as at
from artcafe.server.store.item import Backend, Put
from artcafe.server.store.members import MemberTable
from artcafe.server.store.table import translated

_MARK = ("MIGRATIONS", "MEMBERSHIPS")


class PlantedRows:
    """Looks through a whole store, once in its life, and removes them. They grant nothing meanwhile."""

    def __init__(self, store: Backend, members: MemberTable) -> None:
        """`members` are those of the same store: who reads a user's memberships removes such rows."""
        self._store = store
        self._members = members

    async def step(self) -> bool:
        """Look at some rows more, wherever the last step ended, in whichever process; True when all are seen.

        Raises unavailable; the same rows are looked at again then.
        """
        with translated():
            mark = await self._store.get(*_MARK)
            if mark is not None and mark.data.get("done"):
                return True
            cursor = mark.data.get("cursor") if mark is not None else None
            rows, after = await self._store.rows(cursor if isinstance(cursor, str) else None)
        for user in dict.fromkeys(row.pk for row in rows if _is_membership(row.pk, row.sk)):
            await self._members.of_user(UserId(user.removeprefix(at.user(UserId("")))))
        with translated():
            await self._store.put(Put(*_MARK, {"cursor": after, "done": after is None}))
        return after is None


def _is_membership(pk: str, sk: str) -> bool:
    return pk.startswith(at.user(UserId(""))) and sk.startswith(at.MEMBERSHIPS)
