"""Which group is which role where, and what cannot be read as that."""

import pytest

from artcafe.server.domain.groups import Granted, Groups
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.tenant import Role

ACME, OTHER = TenantId("acme"), TenantId("acme-2")


def test_a_group_is_a_role_in_each_tenant_that_is_said() -> None:
    groups = Groups.read(" staff=acme:viewer , staff=acme-2:member,/ops/on=call = acme:owner,")

    assert groups.granted({"staff"}) == {
        ACME: Granted(Role.viewer, "staff"),
        OTHER: Granted(Role.member, "staff"),
    }
    assert groups.granted({"/ops/on=call"}) == {ACME: Granted(Role.owner, "/ops/on=call")}
    assert groups.tenants == {ACME, OTHER}


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_of_several_roles_in_a_tenant_the_highest_counts(order: tuple[str, str]) -> None:
    low, high = order
    groups = Groups.read(f"{low}=acme:viewer,{high}=acme:admin")

    assert groups.granted({"a", "b"}) == {ACME: Granted(Role.admin, high)}
    assert groups.granted({low}) == {ACME: Granted(Role.viewer, low)}


@pytest.mark.parametrize("group", ["Staff", "staff ", "staff=acme:viewer", "acme:owner", "*", "", "staf"])
def test_a_group_that_nobody_named_is_nothing(group: str) -> None:
    assert Groups.read("staff=acme:viewer").granted({group}) == {}


def test_without_a_word_no_group_is_anything() -> None:
    assert Groups.read("") == Groups.read(" , ") == Groups()
    assert Groups().granted({"staff"}) == {}
    assert not Groups().tenants


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("staff", "'staff' is no GROUP=TENANT:ROLE"),
        ("staff=acme", "no GROUP=TENANT:ROLE"),
        ("acme:viewer", "no GROUP=TENANT:ROLE"),
        ("=acme:viewer", "no GROUP=TENANT:ROLE"),
        (" =acme:viewer", "no GROUP=TENANT:ROLE"),
        ("staff=:viewer", "A tenant id is"),
        ("staff=ac me:viewer", "A tenant id is"),
        ("staff=*:viewer", "A tenant id is"),
        ("staff=a:b:viewer", "A tenant id is"),
        ("staff=acme:", "a role is one of viewer, member, admin, owner"),
        ("staff=acme:Viewer", "a role is one of"),
        ("staff=acme:root", "'staff=acme:root': a role is one of"),
        ("staff=acme:viewer,staff=acme:admin", "the group 'staff' has the tenant acme twice"),
        ("staff=acme:viewer,staff=acme:viewer", "twice"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$") as refused:
        Groups.read(f"ops=acme:member,{text}")
    assert says in f"{refused.value}"
