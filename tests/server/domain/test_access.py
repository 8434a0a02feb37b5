"""Who may do what, spelled out cell by cell: a change of the table has to be made twice."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from artcafe.server.domain.access import ALLOWED, LADDER, Action, Rights, allows, check_audience, require
from artcafe.server.domain.channel_rules import ChannelRules
from artcafe.server.domain.ids import AgentId, TenantId, UserId
from artcafe.server.domain.policy import Policy
from artcafe.server.domain.principal import AgentPrincipal, Human, Principal
from artcafe.server.domain.tenant import Role
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import parse_pattern, parse_subject
from tests.kit.outcomes import refused

TENANT = TenantId("acme")

MATRIX = {
    #                  viewer member admin  owner
    "read":            (True,  True,  True,  True),
    "manage_agents":   (False, True,  True,  True),
    "manage_channels": (False, True,  True,  True),
    "publish":         (False, True,  True,  True),
    "change_tenant":   (False, False, True,  True),
    "manage_members":  (False, False, True,  True),
    "publish_as_system": (False, False, True, True),
    "read_audit":      (False, False, True,  True),
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
        with refused(Code.forbidden):
            require(human(role), Action(action))


def test_the_matrix_here_has_every_role_and_every_action() -> None:
    assert {action.value for action in Action} == set(MATRIX)
    assert {role.value for role in Role} == set(ROLES)
    assert set(ALLOWED) == set(Role)


def test_each_role_of_the_ladder_may_do_what_those_before_it_may() -> None:
    assert ROLES == LADDER
    for lower, higher in pairwise(LADDER):
        assert ALLOWED[lower] < ALLOWED[higher]


def permitted(ask: Callable[[], object]) -> bool:
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
    return permitted(lambda: Rights(principal, Policy(), ChannelRules([])).publish(address))


def may_subscribe(principal: Principal, pattern: str) -> bool:
    address = parse_pattern(pattern, TENANT)
    rights = Rights(principal, Policy(), ChannelRules([]))
    alone = permitted(lambda: rights.check_subscribe(address, queue=False))
    # Without a policy and without channels, a queue group is no different.
    assert permitted(lambda: rights.check_subscribe(address, queue=True)) is alone
    return alone


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


@pytest.mark.parametrize("audience", [[], ["a1", "role:viewer"], [f"role:{role}" for role in ROLES]])
def test_an_audience_lists_agents_and_roles(audience: list[str]) -> None:
    check_audience(audience)


@pytest.mark.parametrize(
    "who",
    ["", "role:", "role:king", "role:Owner", "role: owner", "Role:owner", "a.b", "sys", "u-ada", "*", "#"],
)
def test_nobody_else_is_an_audience(who: str) -> None:
    with refused(Code.validation_failed):
        check_audience(["a1", who])
