"""What may stand in an agent's policy."""

import msgspec
import pytest

from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.policy import Grant, Policy, checked
from artcafe.wire.codes import Code
from tests.kit.outcomes import refused

ACME = TenantId("acme")
SPELLINGS = ["tasks.*", "tenant.acme.tasks.*", "tenant.acme.channel.tasks.*", "channels.acme.tasks.*"]


def test_without_a_policy_everything_is_allowed_and_nothing_denied() -> None:
    assert msgspec.json.decode("{}", type=Policy) == Policy() == Policy(publish=Grant(allow=None, deny=[]))
    assert checked(Policy(), ACME) == Policy()


def test_every_pattern_of_every_list_is_stored_in_its_short_form() -> None:
    policy = Policy(
        publish=Grant(allow=SPELLINGS, deny=["agents.acme.x"]),
        subscribe=Grant(allow=["tenant.acme.>"], deny=SPELLINGS),
    )

    assert checked(policy, ACME) == Policy(
        publish=Grant(allow=["tasks.*"] * 4, deny=["x"]), subscribe=Grant(allow=[">"], deny=["tasks.*"] * 4)
    )


def test_allowing_nothing_stays_allowing_nothing() -> None:
    """An empty list is not the same as none: nothing is allowed, not everything."""
    policy = Policy(publish=Grant(allow=[]))

    assert checked(policy, ACME).publish == Grant(allow=[])


@pytest.mark.parametrize("room", ["publish", "subscribe"])
@pytest.mark.parametrize("kind", ["allow", "deny"])
@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        ("a b", Code.invalid_subject),
        ("", Code.invalid_subject),
        ("a.>.b", Code.invalid_subject),
        ("agents.>", Code.invalid_subject),
        ("tenant.other.x", Code.forbidden),
    ],
)
def test_what_is_no_pattern_of_this_tenant_is_refused(room: str, kind: str, pattern: str, code: Code) -> None:
    policy = msgspec.convert({room: {kind: ["fine", pattern]}}, Policy)

    with refused(code):
        checked(policy, ACME)
