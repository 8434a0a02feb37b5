"""Who may do what, spelled out cell by cell: a change of the table has to be made twice."""

from collections.abc import Callable

import pytest

from artcafe.server.domain.access import ALLOWED, Action, allows, check_publish, check_subscribe, require
from artcafe.server.domain.ids import AgentId, TenantId, UserId
from artcafe.server.domain.principal import AgentPrincipal, Human, Principal
from artcafe.server.domain.tenant import Role
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import parse_pattern, parse_subject

TENANT = TenantId("acme")

MATRIX = {
    #                  viewer member admin  owner
    "read":            (True,  True,  True,  True),
    "manage_agents":   (False, True,  True,  True),
    "manage_channels": (False, True,  True,  True),
    "publish":         (False, True,  True,  True),
    "change_tenant":   (False, False, True,  True),
    "manage_members":  (False, False, True,  True),
    "delete_tenant":   (False, False, False, True),
}  # fmt: skip
ROLES = ("viewer", "member", "admin", "owner")

CELLS = [
    (role, action, allowed)
    for action, row in MATRIX.items()
    for role, allowed in zip(ROLES, row, strict=True)
]

AGENT = AgentPrincipal(TENANT, AgentId("a"), "SHA256:x")


def human(role: str) -> Human:
    return Human(TENANT, UserId("ada"), Role(role))


@pytest.mark.parametrize(("role", "action", "allowed"), CELLS)
def test_the_table(role: str, action: str, allowed: bool) -> None:
    assert allows(human(role), Action(action)) is allowed
    if allowed:
        require(human(role), Action(action))
    else:
        with pytest.raises(ArtcafeError) as refused:
            require(human(role), Action(action))
        assert refused.value.code is Code.forbidden


def test_the_matrix_here_has_every_role_and_every_action() -> None:
    assert {action.value for action in Action} == set(MATRIX)
    assert {role.value for role in Role} == set(ROLES)
    assert set(ALLOWED) == set(Role)


def permitted(ask: Callable[[], None]) -> bool:
    """Whether a check lets something pass; when it does not, it says forbidden and nothing else."""
    try:
        ask()
    except ArtcafeError as error:
        if error.code is not Code.forbidden:
            raise
        return False
    return True


def may_publish(principal: Principal, subject: str) -> bool:
    address = parse_subject(subject, TENANT)
    return permitted(lambda: check_publish(principal, address))


def may_subscribe(principal: Principal, pattern: str) -> bool:
    address = parse_pattern(pattern, TENANT)
    return permitted(lambda: check_subscribe(principal, address))


SHARED = [
    "tasks",
    "tasks.new",
    "agents.a",
    "agents.presence.online",
    "agents.control.b.stop",
    "tenant.acme.x",
]
OWN = ["agents.a.go", "inbox.a.t1", "agents.acme.agents.a.go"]
OTHERS = ["agents.b.go", "inbox.b.t1", "tenant.acme.agents.b.go"]
PLATFORM = ["sys", "sys.limits", "presence.a", "dlq.tasks", "tenant.acme.sys.x", "agents.acme.presence.a"]


@pytest.mark.parametrize("subject", SHARED + OWN + OTHERS)
def test_everybody_who_publishes_may_publish_to_agents(subject: str) -> None:
    """Also to another agent's own subjects: that is what they are for."""
    assert may_publish(AGENT, subject)
    assert [may_publish(human(role), subject) for role in ROLES] == [False, True, True, True]


@pytest.mark.parametrize("subject", PLATFORM)
def test_only_the_platform_publishes_to_the_platforms_subjects(subject: str) -> None:
    assert not may_publish(AGENT, subject)
    assert not any(may_publish(human(role), subject) for role in ROLES)


@pytest.mark.parametrize(
    "pattern", [*SHARED, *PLATFORM, ">", "*", "*.>", "tasks.*", "agents.*", "tenant.acme.>"]
)
def test_everybody_may_hear_what_is_shared(pattern: str) -> None:
    assert may_subscribe(AGENT, pattern)
    assert all(may_subscribe(human(role), pattern) for role in ROLES)


@pytest.mark.parametrize("pattern", [*OWN, "agents.a.>", "inbox.a.*"])
def test_an_agent_hears_what_is_its_own(pattern: str) -> None:
    assert may_subscribe(AGENT, pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        *OTHERS,
        "agents.b.>",
        "agents.*.go",
        "agents.*.>",
        "inbox.*.*",
        "inbox.*.>",
        "agents.acme.agents.b.>",
        "agents.A.go",
    ],
)
def test_no_agent_hears_what_is_anothers(pattern: str) -> None:
    assert not may_subscribe(AGENT, pattern)


@pytest.mark.parametrize("pattern", ["agents.a.>", "agents.*.>", "inbox.b.t1"])
def test_humans_who_manage_agents_hear_what_is_theirs(pattern: str) -> None:
    assert [may_subscribe(human(role), pattern) for role in ROLES] == [False, True, True, True]
