"""Failed logins: who fails is stopped, and who holds the key is not."""

from contextlib import suppress

import pytest

from artcafe.server.domain import failed_logins
from artcafe.server.domain.failed_logins import FailedLogins, LoginLimits
from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.outcomes import refused

ACME, A1, A2 = TenantId("acme"), AgentId("a1"), AgentId("a2")
HERE, THERE = "203.0.113.7", "198.51.100.9"
LIMITS = LoginLimits(per_agent=3, per_address=5, in_all=8)


def fail(logins: FailedLogins, remote: str = HERE, agent: AgentId = A1, key: str | None = None) -> None:
    logins.begin(remote, ACME, agent, key, 0.0)


def fails_until_refused(logins: FailedLogins, remotes: list[str], agents: list[AgentId]) -> int:
    """How many attempts get through to a check of their signature, of many."""
    through = 0
    for number in range(100):
        try:
            fail(logins, remotes[number % len(remotes)], agents[number % len(agents)])
        except ArtcafeError:
            continue
        else:
            through += 1
    return through


def test_an_agent_an_address_and_all_together_have_their_bounds() -> None:
    agents = [AgentId(f"a{number}") for number in range(100)]
    remotes = [f"192.0.2.{number}" for number in range(100)]

    assert fails_until_refused(FailedLogins(LIMITS), [HERE], [A1]) == 3
    assert fails_until_refused(FailedLogins(LIMITS), [HERE], agents) == 5
    assert fails_until_refused(FailedLogins(LIMITS), remotes, [A1]) == 8
    assert fails_until_refused(FailedLogins(LIMITS), remotes, agents) == 8


def test_who_is_refused_is_told_when_to_come_back_and_may_then() -> None:
    logins = FailedLogins(LIMITS)
    for _ in range(3):
        fail(logins)

    with pytest.raises(ArtcafeError) as refusal:
        fail(logins)

    assert refusal.value.retry_after == pytest.approx(20.0)
    logins.begin(HERE, ACME, A1, None, 20.0)
    with refused(Code.rate_limited):
        logins.begin(HERE, ACME, A1, None, 20.0)


def test_logins_that_succeed_cost_nothing() -> None:
    logins = FailedLogins(LIMITS)

    for number in range(1000):
        agent = AgentId(f"a{number % 10}")
        logins.succeeded(logins.begin(HERE, ACME, agent, None, 0.0))


def test_an_agent_that_names_its_key_is_not_locked_out_by_those_who_do_not() -> None:
    logins = FailedLogins(LIMITS)
    fails_until_refused(logins, [HERE], [A1])
    fails_until_refused(logins, [f"192.0.2.{number}" for number in range(100)], [A1, A2])

    logins.succeeded(logins.begin(HERE, ACME, A1, "SHA256:own", 0.0))


def test_an_agent_that_was_let_in_is_not_locked_out_by_others_behind_its_address_or_elsewhere() -> None:
    """As an older client that names no key: behind an address translation, or while a flood lasts."""
    logins = FailedLogins(LIMITS)
    logins.succeeded(logins.begin(HERE, ACME, A1, None, 0.0))
    fails_until_refused(logins, [HERE], [AgentId(f"b{number}") for number in range(100)])
    fails_until_refused(logins, [f"192.0.2.{number}" for number in range(100)], [A1])

    logins.succeeded(logins.begin(HERE, ACME, A1, None, 0.0))


def test_who_knows_the_public_key_alone_is_bounded_too_and_locks_out_nobody_elsewhere() -> None:
    logins = FailedLogins(LIMITS)
    for _ in range(3):
        fail(logins, THERE, key="SHA256:own")
    with refused(Code.rate_limited):
        fail(logins, THERE, key="SHA256:own")

    logins.succeeded(logins.begin(HERE, ACME, A1, "SHA256:own", 0.0))


def test_what_is_refused_is_charged_to_no_other_bucket() -> None:
    logins = FailedLogins(LIMITS)
    for _ in range(50):
        with suppress(ArtcafeError):
            fail(logins)

    assert fails_until_refused(logins, [HERE], [A2]) == 2
    assert fails_until_refused(logins, [THERE], [A2, A1]) == 3


def test_so_many_are_remembered_whoever_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failed_logins, "MAX_REMEMBERED", 100)
    logins = FailedLogins(LoginLimits(per_agent=1, per_address=1, in_all=1_000_000))
    for number in range(1000):
        attempt = logins.begin(f"10.0.{number // 250}.{number % 250}", ACME, A1, None, 0.0)
        logins.succeeded(attempt)

    held = (logins._agents, logins._addresses, logins._known)
    assert all(len(each) <= 100 for each in held)
