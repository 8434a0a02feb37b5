"""What has to be true after a run, whatever was asked, lost or cut off: of the rows, and of the answers."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise

from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.plan import plan_named
from artcafe.server.domain.principal import Human
from artcafe.server.domain.tenant import Role
from tests.hammer.model import Call, History, Path
from tests.hammer.rows import Contents, Tenant
from tests.hammer.servers import MOST_TENANTS, TIER, Server
from tests.hammer.things import UNNAMED

Fault = tuple[str, Path]
"""What is wrong, and about what it is."""


async def faults(history: History, contents: Contents, server: Server) -> list[Fault]:
    """Everything that is wrong."""
    found = [*contents.faults(), *_answers(history), *_access(history), *_once(history), *_accepted(history)]
    found += [*_ends(history, contents), *_members(history, contents), *_audit(history, contents)]
    found += [*_named_once(contents), *_made(contents)]
    for tenant in contents.tenants.values():
        found += [fault async for fault in _counts(tenant, server)]
    return found


def _answers(history: History) -> Iterator[Fault]:
    for call in history.calls:
        if call.status >= 500 and call.status not in {503, 504}:
            yield f"an answer of {call.status}: {call}", (call.tenant,)


def _access(history: History) -> Iterator[Fault]:
    """Nobody was let in who was not granted so much, by a grant that still stood."""
    for call in history.calls:
        if call.needs is None or not call.let_in:
            continue
        if not history.entitled(call.user, call.tenant, call.needs, call):
            yield f"let in as {call.needs} without a grant: {call}", (call.tenant, "member", call.user)


def _accepted(history: History) -> Iterator[Fault]:
    """An invitation is good once, as long as it stands, and for as much as its maker may give."""
    accepted = Counter[Path]()
    for call in history.calls:
        if call.action != "invitation.accept" or not call.sure:
            continue
        [invitation] = [path for path in call.effects if path[1] == "invitation"]
        role = call.effects[call.tenant, "member", call.user]
        accepted[invitation] += 1
        if accepted[invitation] > 1:
            yield f"an invitation was good twice: {call}", invitation
        if not history.stood(invitation, call, [role]):
            yield f"an invitation was good that did not stand: {call}", invitation
        [maker, *_] = [made.user for made in history.calls if made.effects.get(invitation) is not None]
        least = Role.owner if role is Role.owner else Role.admin
        if not history.entitled(maker, call.tenant, least, call):
            yield f"an invitation of {maker} was good, who could not make it any more: {call}", invitation


def _once(history: History) -> Iterator[Fault]:
    """One key, one answer, unless the tenant was another one in between."""
    series: dict[str, list[Call]] = {}
    for call in history.calls:
        if call.series and call.let_in:
            series.setdefault(call.series, []).append(call)
    for answered in series.values():
        for first, second in pairwise(answered):
            began, ended = min(first.began, second.began), max(first.ended, second.ended)
            between = any(
                call.possible and call.began < ended and call.ended > began
                for call in history.calls
                if (first.tenant,) in call.effects and call.series != first.series
            )
            if first.answer != second.answer and not between:
                yield f"two answers with one key: {first.answer} and {second.answer}", (first.tenant,)


def _ends(history: History, contents: Contents) -> Iterator[Fault]:
    """A thing is what the last call made of it, and no agent or channel is there that nobody made."""
    state = contents.state()
    things = {
        path
        for path in state
        if len(path) == 3 and path[1] in {"agent", "channel"} and not path[2].startswith(UNNAMED)
    }
    for path in sorted({*history.paths(), *things}):
        last = history.last(path)
        if last is None or (path not in state and _withdrawn(history, path, last)):
            continue
        if state.get(path) != last.effects.get(path):
            yield f"{path} is {state.get(path)!r} after {last}", path


def _withdrawn(history: History, path: Path, made: Call) -> bool:
    """Whether an invitation may have gone with its maker's membership."""
    maker = (made.tenant, "member", made.user)
    return path[1:2] == ("invitation",) and any(
        call.possible and maker in call.effects and not call.before(made) for call in history.calls
    )


def _members(history: History, contents: Contents) -> Iterator[Fault]:
    """Who is a member at the end was given this role, in this life of the tenant."""
    end = Call("", "", "", "", "", began=history.now + 1)
    for path, value in contents.state().items():
        if path[1:2] == ("member",) and not history.stood(path, end, [value]):
            yield f"{path[2]} is {value} in {path[0]}, which nobody made it", path


def _audit(history: History, contents: Contents) -> Iterator[Fault]:
    """Each change has one entry, one of unknown outcome at most one, and what was refused none."""
    calls = {call.request: call for call in history.calls}
    for tenant in contents.tenants.values():
        log = [entry for entry in tenant.log if entry["action"] != "invitation.withdraw"]
        entries = Counter(entry["request"] for entry in log)
        actions = {entry["request"]: entry["action"] for entry in log}
        [*made] = [calls[request] for request, action in actions.items() if action == "tenant.create"]
        if len(made) != 1:
            yield f"{len(made)} entries of its creation", (tenant.id,)
            continue
        for request, number in entries.items():
            call = calls[request]
            if number > 1 or not call.possible or call.action != actions[request]:
                yield f"{number} entries of {actions[request]} for {call}", (tenant.id,)
        for entry in tenant.log:  # What went with its maker's membership has an entry of its own.
            call = calls[entry["request"]]
            if not call.possible or (entry not in log and not call.action.startswith("member.")):
                yield f"an entry of {entry['action']} for {call}", (tenant.id,)
        for call in history.calls:
            changed = call.tenant == tenant.id and call.action and call.sure and made[0].before(call)
            if changed and not entries[call.request]:
                yield f"no entry for {call}", (tenant.id,)
        accepted = Counter(e["target"] for e in tenant.log if e["action"] == "invitation.accept")
        for invitation, number in accepted.items():
            if number > 1:
                yield f"{number} entries of an invitation's acceptance", (tenant.id, "invitation", invitation)
        series = Counter(calls[request].series for request in entries if calls[request].series)
        for key, number in series.items():
            if number > 1:
                asked = "".join(f"\n      {call}" for call in history.calls if call.series == key)
                yield f"{number} entries of what was asked with one key:{asked}", (tenant.id,)


def _named_once(contents: Contents) -> Iterator[Fault]:
    """Of what is named after a key there is one."""
    names = Counter(tenant.record["name"] for tenant in contents.tenants.values())
    yield from (
        (f"{number} tenants by one key", (tenant.id,))
        for tenant in contents.tenants.values()
        if (number := names[tenant.record["name"]]) > 1
    )
    for tenant in contents.tenants.values():
        for name, number in Counter(agent["name"] for agent in tenant.of("AGENT#").values()).items():
            if number > 1:
                yield f"{number} agents by one key", (tenant.id, "agent", name)


def _made(contents: Contents) -> Iterator[Fault]:
    makers = Counter(tenant.record["created_by"] for tenant in contents.tenants.values())
    yield from ((f"{user} made {n} tenants", (user,)) for user, n in makers.items() if n > MOST_TENANTS)


async def _counts(tenant: Tenant, server: Server) -> AsyncIterator[Fault]:
    """What is counted is there, and no more than the plan allows; and an owner is told the same."""
    plan, cases = plan_named(TIER), server.api.cases
    owner = Human(TenantId(tenant.id), UserId(tenant.owners[0] if tenant.owners else "nobody"), Role.owner)
    agents, channels = len(tenant.of("AGENT#")), len(tenant.of("CHAN#"))
    size = tenant.bytes("AGENT#", "CHAN#", "DETAIL#AGENT#", "DETAIL#CHAN#")
    for what, told, there, most in (
        ("agents", await cases.agents.count(owner), agents, plan.agents),
        ("channels", await cases.channels.count(owner), channels, plan.channels),
        ("bytes", await cases.tenants.space(owner), size, plan.storage_bytes),
        ("members", len(await cases.tenants.members(owner)), len(tenant.members), None),
    ):
        if told != there:
            yield f"{told} {what} are counted, {there} are there", (tenant.id,)
        if most is not None and there > most:
            yield f"{there} {what}, where {most} are allowed", (tenant.id,)
