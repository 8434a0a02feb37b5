"""The authorization of a connection: its principal, its end, and the changes that it counts."""

from dataclasses import replace

import pytest

from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.principal import Human
from artcafe.server.domain.tenant import Role
from artcafe.server.gateway.sessions.authorization import Authorization

OLIVIA = Human(TenantId("acme"), UserId("olivia"), Role.owner)
VIEWER = replace(OLIVIA, role=Role.viewer)


@pytest.fixture
def admitted() -> Authorization:
    authorization = Authorization()
    authorization.admit(OLIVIA, 100)
    return authorization


def test_it_is_empty_until_the_connection_is_admitted() -> None:
    authorization = Authorization()
    assert (authorization.principal, authorization.expires) == (None, None)
    assert not authorization.expired(float("inf"))
    authorization.admit(OLIVIA, None)
    assert (authorization.principal, authorization.expires) == (OLIVIA, None)
    assert not authorization.expired(float("inf"))


def test_it_ends_with_what_proved_the_principal(admitted: Authorization) -> None:
    assert not admitted.expired(99.9)
    assert admitted.expired(100.0)


def test_a_newer_token_is_a_change(admitted: Authorization) -> None:
    assert admitted.renew(VIEWER, 101)
    assert (admitted.principal, admitted.expires, admitted.version) == (VIEWER, 101, 1)


@pytest.mark.parametrize("expires", [99, 100])
def test_of_a_token_that_expires_no_later_nothing_is_taken(admitted: Authorization, expires: int) -> None:
    assert not admitted.renew(VIEWER, expires)
    assert (admitted.principal, admitted.expires, admitted.version) == (OLIVIA, 100, 0)


def test_each_change_is_counted(admitted: Authorization) -> None:
    admitted.change()
    admitted.change()
    assert admitted.version == 2


def test_one_refresh_at_a_time_reads_the_rights(admitted: Authorization) -> None:
    assert admitted.begin_refresh()
    assert admitted.refreshing
    assert not admitted.begin_refresh()
    admitted.refreshed(VIEWER)
    assert admitted.refreshing
    admitted.end_refresh()
    assert (admitted.principal, admitted.expires, admitted.version) == (VIEWER, 100, 0)
    assert admitted.begin_refresh()
