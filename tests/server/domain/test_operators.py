"""Who is an operator: by the settings and a verified token, and by nothing else."""

import pytest

from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.operators import Operators, local_user
from artcafe.server.domain.principal import Human, User
from artcafe.server.domain.tenant import Role
from artcafe.wire.codes import Code
from tests.kit.outcomes import refused

OPERATORS = Operators(frozenset({UserId("oscar")}), "ops")


@pytest.mark.parametrize("group", ["ops", None])
def test_a_subject_that_is_listed_is_one_whatever_its_groups(group: str | None) -> None:
    operators = Operators(OPERATORS.subjects, group)

    assert operators.include(User(UserId("oscar")))
    operators.require(User(UserId("oscar"), groups=frozenset({"other"})))


def test_who_is_in_the_group_is_one() -> None:
    assert OPERATORS.include(User(UserId("gwen"), groups=frozenset({"ops", "other"})))
    assert OPERATORS.include(Human(TenantId("acme"), UserId("gwen"), Role.viewer, groups=frozenset({"ops"})))


@pytest.mark.parametrize(
    "who",
    [
        User(UserId("Oscar")),
        User(UserId("oscar ")),
        User(UserId("ops")),
        User(UserId("gwen"), email="oscar", hint="oscar", groups=frozenset({"OPS", "ops ", "oscar"})),
        Human(TenantId("oscar"), UserId("olivia"), Role.owner, "oscar", group="ops"),
    ],
    ids=["another case", "a space", "the group's name", "other groups", "a member by the group"],
)
def test_nobody_else_is_whatever_else_they_are_called(who: User | Human) -> None:
    assert not OPERATORS.include(who)
    with refused(Code.forbidden):
        OPERATORS.require(who)


def test_where_nobody_is_named_nobody_is_one() -> None:
    assert not Operators().include(User(UserId(""), groups=frozenset({"", "None"})))


def test_of_the_embedded_issuers_users_each_role_is_another_one() -> None:
    assert len({local_user(role) for role in Role}) == len(Role)
    assert local_user(Role.owner) == "local-owner"
