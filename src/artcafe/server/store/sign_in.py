"""Used sign-in codes and pending devices in the store."""

from msgspec import Struct

from artcafe.server.domain.sign_in import Decision
from artcafe.server.ports.records import DeviceAnswer
from artcafe.server.store import addresses as at
from artcafe.server.store.item import ABSENT, Conflict, Delete, Put, Rev
from artcafe.server.store.table import Table, data


class _Spent(Struct):
    pass


class _Proof(Struct):
    who: str


class _Device(Struct):
    decision: str
    by: str
    expires: int


class SignInTable:
    """ports.SignInRecords."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def spend(self, code: str, expires: int) -> bool:
        """Take a code until `expires`; False when it was taken before."""
        try:
            await self._table.write(Put(at.SIGN_IN, at.spent(code), {}, ABSENT, expires))
        except Conflict:
            return False
        return True

    async def spent(self, code: str) -> bool:
        """Whether it was taken."""
        return await self._table.read(at.SIGN_IN, at.spent(code), _Spent) is not None

    async def keep(self, proof: str, who: str, expires: int) -> None:
        """Keep whom a sign-in code stands for."""
        await self._table.write(Put(at.SIGN_IN, at.proof(proof), data(_Proof(who)), expires=expires))

    async def take(self, proof: str) -> str | None:
        """Take the code and return its owner's text, once."""
        place = (at.SIGN_IN, at.proof(proof))
        stored = await self._table.read(*place, _Proof)
        if stored is None:
            return None
        try:
            await self._table.write(Delete(*place, Rev(stored.rev)))
        except Conflict:
            return None
        return stored.record.who

    async def wait(self, user_code: str, expires: int) -> bool:
        """Let a device wait; False when another one waits under this code."""
        row = data(_Device(Decision.pending, "", expires))
        try:
            await self._table.write(Put(at.SIGN_IN, at.device(user_code), row, ABSENT, expires))
        except Conflict:
            return False
        return True

    async def decide(self, user_code: str, answer: DeviceAnswer) -> bool:
        """Answer a device that waits; False when none does, or it was answered before."""
        place = (at.SIGN_IN, at.device(user_code))
        stored = await self._table.read(*place, _Device)
        if stored is None or stored.record.decision != Decision.pending:
            return False
        row = _Device(answer.decision, answer.by, stored.record.expires)
        try:
            await self._table.write(stored.put(row))
        except Conflict:
            return False
        return True

    async def device(self, user_code: str) -> DeviceAnswer | None:
        """The decision about a device; None when none waits under this code."""
        stored = await self._table.read(at.SIGN_IN, at.device(user_code), _Device)
        return None if stored is None else DeviceAnswer(Decision(stored.record.decision), stored.record.by)
