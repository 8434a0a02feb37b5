"""Announces stored changes on the bus, and retries while the bus is unavailable: ports.Telling."""

from collections.abc import Awaitable, Callable, Hashable

from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.tenant import TenantRules
from artcafe.server.events import NotTold, note
from artcafe.server.ports.bus import Accounts, Control, Deliver
from artcafe.wire.errors import ArtcafeError

MOST = 10_000
"""How many things may wait to be told in one process."""

RETRY_SECONDS = 1.0
"""How often what waits is tried again."""

_FAILURES = 3
"""How many fail before a round ends: each may take as long as a call waits for the bus."""

_Work = Callable[[], Awaitable[None]]


class BusTelling:
    """ports.Telling over the bus. Somebody calls `again` every RETRY_SECONDS, and at the end."""

    def __init__(
        self,
        control: Control,
        accounts: Accounts,
        stored: Callable[[TenantId], Awaitable[TenantRules | None]],
        here: Deliver,
        most: int = MOST,
    ) -> None:
        """`stored` reads a tenant; `here` is told in this process what the bus does not bring."""
        self._control = control
        self._accounts = accounts
        self._stored = stored
        self._here = here
        self._most = most
        self._waiting: dict[Hashable, tuple[str, _Work]] = {}
        self._away = False

    @property
    def waiting(self) -> int:
        """How many things wait to be told."""
        return len(self._waiting)

    async def tell(self, topic: str, payload: bytes) -> None:
        """See ports.Telling."""
        if not await self._now((topic, payload), topic, lambda: self._control.tell(topic, payload)):
            self._here(topic, payload)

    async def push(self, tenant: TenantRules) -> None:
        """See ports.Telling."""
        await self._now(("push", tenant.id), "account", lambda: self._push(tenant.id))

    async def remove(self, tenant: TenantRules) -> None:
        """See ports.Telling."""
        await self._now(("remove", tenant.account), "account", lambda: self._accounts.remove(tenant))

    async def again(self, patience: int = _FAILURES) -> None:
        """Try what waits once more, until so much of it fails again; the next round begins with the rest."""
        failures = 0
        for key in list(self._waiting):
            if key not in self._waiting:  # Told meanwhile.
                continue
            what, work = self._waiting.pop(key)
            try:
                await work()
            except ArtcafeError:
                self._wait(key, what, work)
                failures += 1
                if failures == patience:
                    return
            except BaseException:
                self._wait(key, what, work)
                raise
            else:
                self._away = False

    async def finish(self) -> None:
        """Try once more, at the end of the process, and say what is lost."""
        await self.again(1)
        for what, _ in self._waiting.values():
            note(NotTold(what=what, lost=True, reason="the process ends"))
        self._waiting.clear()

    async def _push(self, tenant: TenantId) -> None:
        """Push what is stored now, and once more where it changed meanwhile: a push that was overtaken would
        stand."""
        record = await self._stored(tenant)
        while record is not None:
            await self._accounts.push(record)
            pushed, record = record, await self._stored(tenant)
            if record == pushed:
                return

    async def _now(self, key: Hashable, what: str, work: _Work) -> bool:
        """Do it now, or let it wait where the bus was away a moment ago; whether it is done."""
        if self._away:
            self._wait(key, what, work)
            return False
        try:
            await work()
        except ArtcafeError as error:
            self._away = True
            if self._wait(key, what, work):
                note(NotTold(what=what, lost=False, reason=f"{error}"))
            return False
        except BaseException:  # Whoever asked is gone; the change is stored.
            self._wait(key, what, work)
            raise
        return True

    def _wait(self, key: Hashable, what: str, work: _Work) -> bool:
        if key not in self._waiting and len(self._waiting) >= self._most:
            note(NotTold(what=what, lost=True, reason="too much waits to be told"))
            return False
        self._waiting.setdefault(key, (what, work))
        return True
