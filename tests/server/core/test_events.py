"""Every use case that may write: what it commits is told behind the commit, in these words and this order."""

import ast
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from artcafe.server.core.agents import Agents
from artcafe.server.core.channels import Channels
from artcafe.server.core.deletions import Deletions
from artcafe.server.core.installation import Installation as Installed
from artcafe.server.core.invitations import Invitations
from artcafe.server.core.operations import TenantChange, TenantOperations
from artcafe.server.core.tenants import Tenants
from artcafe.server.domain.change import Change
from artcafe.server.domain.durability import LEAST_BYTES, Durability
from artcafe.server.domain.ids import AgentId, ChannelId, TenantId, UserId
from artcafe.server.domain.listing import Query
from artcafe.server.domain.principal import Human, User
from artcafe.server.domain.revocation import Revocation
from artcafe.server.domain.tenant import Role, Status
from artcafe.server.ports.events import AccountChanged, CountersEnded, Event, InboxEnded, StreamsChanged
from artcafe.server.store.memory import MemoryStore
from artcafe.wire.codes import Code
from tests.kit.installation import ACME, OSCAR, Installation, Process
from tests.kit.issuers import MovingClock
from tests.kit.outcomes import outcome
from tests.kit.owed import Ledger, Log, WordsBus
from tests.kit.signing import KeyPair
from tests.kit.stores import new_rev
from tests.kit.tree import modules, syntax
from tests.kit.unreliable_store import UnreliableStore

OLIVIA = User(UserId("olivia"), "olivia@example.com")
ZOE = User(UserId("zoe"), "zoe@example.com")
PAUL = UserId("paul")
A1, TASKS = AgentId("a1"), ChannelId("tasks")
KEY, NEW_KEY = KeyPair(), KeyPair()

WRITERS = {
    "TenantRecords",
    "MemberRecords",
    "InvitationRecords",
    "AgentRecords",
    "ChannelRecords",
    "DeletionRecords",
}
"""Ports by which something is written that is held in memory, or that live connections depend on."""


@dataclass
class World:
    """A process whose writes and words are noted, in `acme`: with the agent `a1`, the channel `tasks`, the
    member `paul` and an invitation, whose token is `token`."""

    log: Log = field(default_factory=Log)
    olivia: Human = field(init=False)
    installation: Installation = field(init=False)
    store: UnreliableStore = field(init=False)
    process: Process = field(init=False)
    token: str = ""
    invitation: str = ""

    async def open(self) -> "World":
        """Furnish it; what that told is forgotten."""
        clock = MovingClock()
        memory = MemoryStore(clock=clock.now, new_rev=new_rev)
        await memory.open()
        self.installation = Installation(memory, clock, WordsBus(self.log))
        self.store = UnreliableStore(memory)
        self.process = self.installation.process = self.installation.start(
            "watched", store=Ledger(self.store, self.log)
        )
        await self.process.installed.join()
        self.olivia = await self.installation.make_tenant()
        await self.installation.make_agent(self.olivia, A1, KEY)
        await self.process.channels.create(self.olivia, TASKS, {"name": "tasks"})
        await self.process.tenants.put_member(self.olivia, PAUL, Role.member, "paul@example.com")
        invitation, token = await self.process.invitations.create(self.olivia, Role.viewer, "", 1)
        self.token, self.invitation = f"{token}", invitation.id
        await self.process.meter.flush()
        assert self.log.unpaid() == []
        self.log.steps.clear()
        return self


Act = Callable[[World], Awaitable[object]]


async def delete_all(w: World) -> None:
    await w.process.deletions.begin(w.olivia)
    await w.process.deletions.work()


async def withdraw(w: World) -> None:
    await w.process.invitations.withdraw(w.olivia, UserId("nobody"))


async def forget(w: World) -> None:
    await w.process.channels.change(w.olivia, TASKS, {"durability": DURABLE})
    await w.process.channels.change(w.olivia, TASKS, {"durability": None})


async def delete_durable(w: World) -> None:
    await w.process.channels.change(w.olivia, TASKS, {"durability": DURABLE})
    await w.process.channels.delete(w.olivia, TASKS)


async def restore(w: World) -> None:
    tenant = await w.process.directory.tenant(ACME)
    assert tenant is not None
    await w.process.installed.restore(tenant)


TWO = ["tenant acme", "account acme"]
DURABLE = Durability(max_bytes=LEAST_BYTES)

WALK: dict[str, tuple[Act, list[str]]] = {
    "Agents.create": (
        lambda w: w.process.agents.create(w.olivia, "a2", NEW_KEY.line, {"name": "a2"}),
        ["agent a2"],
    ),
    "Agents.get": (lambda w: w.process.agents.get(w.olivia, A1), []),
    "Agents.list": (lambda w: w.process.agents.list(w.olivia, Query(limit=10)), []),
    "Agents.count": (lambda w: w.process.agents.count(w.olivia), []),
    "Agents.key_uses": (lambda w: w.process.agents.key_uses(w.olivia, A1), []),
    "Agents.change": (lambda w: w.process.agents.change(w.olivia, A1, {"name": "n"}), ["agent a1"]),
    "Agents.change disabled": (
        lambda w: w.process.agents.change(w.olivia, A1, {"enabled": False}),
        ["agent a1", "revoked a1"],
    ),
    "Agents.delete": (
        lambda w: w.process.agents.delete(w.olivia, A1),
        ["agent a1", "revoked a1", "inbox a1"],
    ),
    "Agents.add_key": (lambda w: w.process.agents.add_key(w.olivia, A1, NEW_KEY.line), ["agent a1"]),
    "Agents.revoke_key": (
        lambda w: w.process.agents.revoke_key(w.olivia, A1, KEY.fingerprint),
        ["agent a1", "revoked a1 key"],
    ),
    "Agents.remove_key": (
        lambda w: w.process.agents.remove_key(w.olivia, A1, KEY.fingerprint),
        ["agent a1", "revoked a1 key"],
    ),
    "Channels.create": (
        lambda w: w.process.channels.create(w.olivia, "jobs", {"name": "jobs"}),
        ["channel jobs"],
    ),
    "Channels.create durable": (
        lambda w: w.process.channels.create(w.olivia, "jobs", {"name": "jobs", "durability": DURABLE}),
        ["streams acme", "channel jobs"],
    ),
    "Channels.get": (lambda w: w.process.channels.get(w.olivia, TASKS), []),
    "Channels.list": (lambda w: w.process.channels.list(w.olivia, Query(limit=10)), []),
    "Channels.count": (lambda w: w.process.channels.count(w.olivia), []),
    "Channels.change": (
        lambda w: w.process.channels.change(w.olivia, TASKS, {"publishers": []}),
        ["channel tasks"],
    ),
    "Channels.change durable": (
        lambda w: w.process.channels.change(w.olivia, TASKS, {"durability": DURABLE}),
        ["streams acme", "channel tasks"],
    ),
    "Channels.change not durable": (
        forget,
        ["streams acme", "channel tasks", "channel tasks", "streams acme"],
    ),
    "Channels.durable_bytes": (lambda w: w.process.channels.durable_bytes(w.olivia), []),
    "Channels.delete": (lambda w: w.process.channels.delete(w.olivia, TASKS), ["channel tasks"]),
    "Channels.delete durable": (
        delete_durable,
        ["streams acme", "channel tasks", "channel tasks", "streams acme"],
    ),
    "Tenants.enter": (lambda w: w.process.tenants.enter(OLIVIA, ACME), []),
    "Tenants.create": (
        lambda w: w.process.tenants.create(ZOE, TenantId("new"), {"name": "new"}),
        ["account new", "tenant new"],  # The account is there when the record is: it is no event.
    ),
    "Tenants.get": (lambda w: w.process.tenants.get(w.olivia), []),
    "Tenants.space": (lambda w: w.process.tenants.space(w.olivia), []),
    "Tenants.of_user": (lambda w: w.process.tenants.of_user(OLIVIA), []),
    "Tenants.change": (lambda w: w.process.tenants.change(w.olivia, {"website": "x"}), ["tenant acme"]),
    "Tenants.change by an operator": (
        lambda w: w.process.tenants.change(
            Human(ACME, OSCAR.id, Role.owner, OSCAR.email), {"subscription_tier": "pro"}
        ),
        TWO,
    ),
    "Tenants.members": (lambda w: w.process.tenants.members(w.olivia), []),
    "Tenants.member": (lambda w: w.process.tenants.member(w.olivia, PAUL), []),
    "Tenants.put_member": (
        lambda w: w.process.tenants.put_member(w.olivia, ZOE.id, Role.admin, ZOE.email),
        ["member zoe"],
    ),
    "Tenants.put_member again": (
        lambda w: w.process.tenants.put_member(w.olivia, PAUL, Role.viewer, ""),
        ["member paul"],
    ),
    "Tenants.remove_member": (lambda w: w.process.tenants.remove_member(w.olivia, PAUL), ["member paul"]),
    "Tenants.admit": (lambda w: w.process.tenants.admit(ACME, ZOE, Role.member), ["member zoe"]),
    "Tenants.addressed": (lambda w: w.process.tenants.addressed(ACME, OLIVIA.email), []),
    "TenantOperations.list": (lambda w: w.process.operations.list(OSCAR, Query(limit=10)), []),
    "TenantOperations.get": (lambda w: w.process.operations.get(OSCAR, ACME), []),
    "TenantOperations.log": (lambda w: w.process.operations.log(OSCAR, Query(limit=10)), []),
    "TenantOperations.change": (
        lambda w: w.process.operations.change(OSCAR, ACME, TenantChange(status=Status.suspended)),
        TWO,
    ),
    "TenantOperations.change limits": (
        lambda w: w.process.operations.change(OSCAR, ACME, TenantChange(limits={"agents": 7})),
        TWO,
    ),
    "Invitations.create": (lambda w: w.process.invitations.create(w.olivia, Role.viewer, "", 1), []),
    "Invitations.list": (lambda w: w.process.invitations.list(w.olivia, 10, None), []),
    "Invitations.delete": (lambda w: w.process.invitations.delete(w.olivia, w.invitation), []),
    "Invitations.withdraw": (withdraw, []),
    "Invitations.accept": (lambda w: w.process.invitations.accept(ZOE, w.token), ["member zoe"]),
    "Deletions.begin": (lambda w: w.process.deletions.begin(w.olivia), ["tenant acme", "revoked all"]),
    "Deletions.work": (
        delete_all,
        ["tenant acme", "revoked all", "revoked all", "revoked all", "tenant acme"],
    ),
    "Installation.join": (lambda w: w.process.installed.join(), []),
    "Installation.check": (lambda w: w.process.installed.check(), []),
    "Installation.tend": (lambda w: w.process.installed.tend(), []),
    "Installation.restore": (restore, ["account acme"]),
}


def word(event: Event) -> str:
    """An event in short."""
    match event:
        case Change():
            return f"{event.kind} {event.id}"
        case Revocation():
            return f"revoked {event.agent or 'all'}" + (" key" if event.fingerprint else "")
        case AccountChanged():
            return f"account {event.tenant.id}"
        case StreamsChanged():
            return f"streams {event.tenant}"
        case InboxEnded():
            return f"inbox {event.owner}"
    return f"{event}"


@pytest.mark.parametrize(("act", "words"), WALK.values(), ids=WALK)
async def test_what_is_committed_is_told_behind_the_commit(act: Act, words: list[str]) -> None:
    w = await World().open()

    await act(w)

    assert [word(event) for event in w.log.told()] == words
    await w.process.meter.flush()  # Counters end with it.
    assert w.log.unpaid() == []
    assert bool(w.log.owed()) == any(not each.startswith("account") for each in words)
    assert endings(w.log.told()) == endings(w.log.owed())


def endings(events: list[Event]) -> set[CountersEnded]:
    return {event for event in events if isinstance(event, CountersEnded)}


@pytest.mark.parametrize("act", [act for act, _ in WALK.values()], ids=WALK)
async def test_what_is_not_committed_is_told_to_nobody(act: Act) -> None:
    w = await World().open()
    w.store.writes_left = 0

    assert await outcome(act(w)) is Code.unavailable or w.log.owed() == []

    assert [event for event in w.log.told() if isinstance(event, Change | Revocation)] == []


def test_every_use_case_is_walked() -> None:
    """A class of core that is given such a port, and each coroutine of it that is public."""
    writing = {
        node.name
        for module in modules()
        if module.startswith("server/core/")
        for node in syntax(module).body
        if isinstance(node, ast.ClassDef) and any(f": {port}," in ast.unparse(node) for port in WRITERS)
    }
    classes = [Agents, Channels, Deletions, Installed, Invitations, TenantOperations, Tenants]
    assert {each.__name__ for each in classes} == writing
    public = {
        f"{each.__name__}.{name}"
        for each in classes
        for name, _ in inspect.getmembers(each, inspect.iscoroutinefunction)
        if not name.startswith("_")
    }
    assert {name.partition(" ")[0] for name in WALK} == public
