"""Members change, and stay who they are."""

from msgspec.structs import replace

from artcafe.server.domain.tenant import Role, changed_member
from tests.kit.records import a_member

PAUL = replace(a_member("paul", role=Role.viewer), email="old@example.com", active=False)


def test_a_change_makes_another_version_and_leaves_the_rest() -> None:
    changed = changed_member(PAUL, Role.admin, "new@example.com")

    assert changed == replace(PAUL, role=Role.admin, email="new@example.com", version=2)


def test_without_an_email_the_one_that_is_known_stays() -> None:
    assert changed_member(PAUL, Role.admin, "").email == "old@example.com"


def test_a_member_was_made_when_it_joined() -> None:
    assert PAUL.created_at == PAUL.joined_at
