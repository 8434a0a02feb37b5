"""Verifies that the store and the bus are of one installation, and reconciles them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from artcafe.server.domain.installation import UNMARKED, Mark, WrongInstallation
from artcafe.server.domain.tenant import TenantRules
from artcafe.server.ports.bus import Accounts, Reconciled
from artcafe.server.ports.channel_streams import ChannelStreams, KeptStreams
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.installation import InstallationRecords, Marked
from artcafe.server.ports.records import DurableRecords, TenantIndex, TenantRecords
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

RECONCILE_SECONDS = 3600.0
"""How often accounts are reconciled, about: by one process of all."""

AT_START_SECONDS = 10.0
"""A process that starts reconciles them unless another one did so long ago, or less."""

RETRY_SECONDS = 30.0
"""What failed is tried again after so long, about."""

MOST_FAILURES = 3
"""How many tenants' streams fail one after the other before the rest is left for the next time: each may take
as long as a call waits for the bus."""


class Installation:
    """The steps of one server process: `join` first, then `tend`.

    Each process does the same: whatever it does is done again, or checked again, by whoever comes next.
    """

    def __init__(
        self,
        *,
        records: InstallationRecords,
        marked: Marked,
        accounts: Accounts,
        streams: ChannelStreams,
        tenants: TenantRecords,
        index: TenantIndex,
        durable: DurableRecords,
        clock: Clock,
        new_id: Callable[[], str],
        jitter: Callable[[], float],
        adopt: str | None = None,
    ) -> None:
        """`adopt` is the mark of the bus, as it is written, that this store is to take over; `new_id` gives
        identifiers that are never given again, `jitter` numbers from 0 to 1."""
        self._records = records
        self._marked = marked
        self._accounts = accounts
        self._streams = streams
        self._tenants = tenants
        self._index = index
        self._durable = durable
        self._clock = clock
        self._new_id = new_id
        self._jitter = jitter
        self._adopt = adopt
        self._mark = Mark("", 0)
        self._due = self._retry = 0.0  # By the monotonic clock; no retry where it is 0.
        self._rest = AT_START_SECONDS
        self._failed = ""

    @property
    def mark(self) -> Mark:
        """The mark of store and bus, as this process knows it."""
        return self._mark

    async def join(self) -> Reconciled | None:
        """Find that the store and the bus belong together, and give both the mark where they have none.

        A bus without a mark is new, or has another operator seed, and one that lags behind may have come back
        from a copy of its files: such a bus is filled, and what that changed is returned; so is one that is
        adopted. Raises WrongInstallation unless they belong together or the bus is to be adopted: then
        nothing has changed on either side.
        """
        # The bus first: its stamp was stored before.
        held = await self._marked.mark()
        mine = await self._records.mark()
        fault = await self._fault(held, mine)
        adopted = self._adopt is not None and self._adopt == (fault[0] if fault else f"{held}")
        if fault is not None and not adopted:
            raise WrongInstallation(_refusal(*fault))
        mine = mine or await self._records.make(Mark(self._new_id()))
        if adopted:
            mine = await self._records.stamp(held.stamp if held else 0)
        self._mark = mine
        if held is None or held.id != mine.id or held.stamp < mine.stamp:
            await self._marked.put_mark(mine)
        if held == mine and not adopted:
            return None
        done = await self._reconcile(many=adopted)
        if done.streams_failed:
            self._retry = self._later(self._clock.monotonic())
        return done

    async def check(self) -> None:
        """Raises unavailable when the bus is not, or not any more, that of this store, or when accounts could
        not be made on it the last time."""
        await self._check_mark()
        if self._failed:
            raise _unsound(f"Accounts cannot be made: {self._failed}")

    async def tend(self) -> Reconciled | None:
        """Do what is due, called every few seconds: fill a bus that was emptied, and reconcile accounts and
        streams from time to time; what was done, or None. What fails is tried again after RETRY_SECONDS,
        about.

        Raises WrongInstallation, unavailable.
        """
        now = self._clock.monotonic()
        emptied = await self._marked.mark() is None
        if now < (self._retry if emptied or self._retry else self._due):
            return None
        again, self._retry = self._retry > 0, self._later(now)
        if emptied:
            done: Reconciled | None = await self.join()
        else:
            if not again and not await self._records.turn(self._clock.now(), self._rest):
                done = None
            else:
                await self._check_mark()
                done = await self._reconcile()
            self._rest = RECONCILE_SECONDS / 2
            self._due = now + RECONCILE_SECONDS * (0.5 + self._jitter())
        if done is None or not done.streams_failed:
            self._retry = 0.0
        return done

    async def restore(self, tenant: TenantRules) -> bool:
        """Make the account of a tenant anew that the bus does not know; False where there is no such tenant.

        Raises unavailable.
        """
        rules = await self._tenants.rules(tenant.id)
        if rules is None or rules.account != tenant.account:
            return False
        held = await self._marked.mark()
        if held is not None and held.id != self._mark.id:
            raise _unsound(f"{_difference(held, self._mark)}.")
        try:
            await self._accounts.push(rules)
        except ArtcafeError as error:
            self._failed = error.message
            self._retry = self._retry or self._later(self._clock.monotonic())
            raise
        return True

    async def _check_mark(self) -> None:
        held = await self._marked.mark()
        if held is None:
            raise _unsound("The bus has lost the mark of its installation, and is filled anew.")
        if held.stamp > self._mark.stamp and held.id == self._mark.id:
            self._mark = await self._records.mark() or self._mark
        fault = _difference(held, self._mark)
        if fault is not None:
            raise _unsound(f"{fault}.")

    async def _reconcile(self, *, many: bool = False) -> Reconciled:
        as_of = self._clock.now()
        tenants, whole = await self._all()
        try:
            done = await self._accounts.reconcile(tenants, as_of=as_of, many=many, whole=whole)
        except ArtcafeError as error:
            self._failed = error.message
            raise
        self._failed = ""
        if not done.kept:
            self._mark = await self._records.stamp()
            await self._marked.put_mark(self._mark)
        return await self._with_streams(done, tenants)

    async def _with_streams(self, done: Reconciled, tenants: Sequence[TenantRules]) -> Reconciled:
        """Reconcile the tenants' streams, too. One tenant's failure does not keep the others waiting, but
        where MOST_FAILURES fail one after the other, the rest counts as failed."""
        kept, failed, in_a_row = KeptStreams(), 0, 0
        # Nobody connects to a suspended tenant's account; its streams are looked at when it is served again.
        for tenant in (tenant for tenant in tenants if not tenant.suspended):
            if in_a_row == MOST_FAILURES:
                failed += 1
                continue
            try:
                kept += await self._streams.keep(tenant, partial(self._durable.durable, tenant.id))
                in_a_row = 0
            except ArtcafeError:
                failed, in_a_row = failed + 1, in_a_row + 1
        return replace(done, streams=kept, streams_failed=failed)

    async def _all(self) -> tuple[list[TenantRules], bool]:
        """The tenants that can be read, and whether these are all."""
        every = [tenant async for tenant in self._index.every()]
        tenants = [tenant for tenant in every if tenant is not None]
        return tenants, len(tenants) == len(every)

    def _later(self, now: float) -> float:
        return now + RETRY_SECONDS * (0.5 + self._jitter())

    async def _fault(self, held: Mark | None, mine: Mark | None) -> tuple[str, str] | None:
        """The bus's mark, and the reason why it is not this store's; None when it is."""
        if held is not None:
            difference = _difference(held, mine)
            return None if difference is None else (f"{held}", difference)
        survey = await self._marked.survey((await self._all())[0])
        for old in survey.marks:
            difference = _difference(old, mine)
            if difference is not None:
                return f"{old}", difference
        if survey.strangers:
            return (
                UNMARKED,
                f"The bus holds {survey.strangers} accounts of tenants that the store does not know",
            )
        return None


def _difference(held: Mark, mine: Mark | None) -> str | None:
    if mine is None:
        return f"The bus belongs to an installation ({held}), and the store is new"
    if mine.id != held.id:
        return f"The bus belongs to another installation ({held}) than the store ({mine})"
    if mine.stamp < held.stamp:
        return f"The store ({mine}) is older than the bus knows it ({held}): a backup, or a copy left behind"
    return None


def _refusal(bus: str, reason: str) -> str:
    return (
        f"{reason}. Look at ARTCAFE_STORE, the data directory and NATS_URL. If this store is the right one,"
        f" start one server once with --adopt-bus {bus}: accounts of tenants it does not know are deleted."
    )


def _unsound(message: str) -> ArtcafeError:
    return ArtcafeError(Code.unavailable, message)
