"""What is left to a tenant, as one process knows it."""

from artcafe.server.domain.quota import Quota
from artcafe.wire.codes import Code
from tests.kit.outcomes import refused


def test_until_it_is_set_everything_is_taken() -> None:
    quota = Quota()

    for _ in range(1000):
        quota.take()

    assert quota.taken == 1000


def test_what_is_left_is_taken_and_no_more() -> None:
    quota = Quota()
    quota.set(2)

    quota.take()
    quota.take()
    for _ in range(2):
        with refused(Code.quota_exceeded):
            quota.take()

    assert (quota.left, quota.taken) == (0, 2), "what is refused is not taken"


def test_more_than_all_may_be_used() -> None:
    quota = Quota()
    quota.set(-5)

    with refused(Code.quota_exceeded):
        quota.take()


def test_setting_it_begins_anew() -> None:
    quota = Quota()
    quota.set(0)

    quota.set(1)
    quota.take()

    assert (quota.left, quota.taken) == (0, 1)
