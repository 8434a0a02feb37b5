"""The settings about groups: both or neither, and none that users could choose for themselves."""

import pytest

from artcafe.server.domain.groups import NOT_FOR_GROUPS
from artcafe.server.settings import SettingsError, load

ISSUER = {"oidc_issuer": "https://issuer.example.com", "oidc_audiences": "api"}
GIVEN = {**ISSUER, "oidc_group_claim": "cognito:groups", "oidc_groups": "staff=acme:viewer"}


def fault(**given: str) -> str:
    """The one line of what is wrong."""
    with pytest.raises(SettingsError) as caught:
        load(**given)
    [line] = f"{caught.value}".splitlines()
    return line


def test_groups_are_off_unless_somebody_sets_them() -> None:
    settings = load(**ISSUER)

    assert settings.oidc_group_claim is None
    assert not settings.groups.roles


def test_groups_are_read() -> None:
    assert set(load(**GIVEN).groups.roles) == {"staff"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"oidc_groups": "staff=acme:root"}, "ARTCAFE_OIDC_GROUPS: 'staff=acme:root': a role is one of"),
        ({"oidc_groups": "staff=ac.me:viewer"}, "ARTCAFE_OIDC_GROUPS: 'staff=ac.me:viewer': A tenant id is"),
        ({"oidc_groups": ""}, "set both or neither"),
        ({"oidc_groups": " , "}, "set both or neither"),
        ({"oidc_group_claim": ""}, "set both or neither"),
        ({"oidc_issuer": ""}, "ARTCAFE_OIDC_GROUPS: needs an issuer"),
        *(({"oidc_group_claim": name}, "ARTCAFE_OIDC_GROUP_CLAIM: ") for name in sorted(NOT_FOR_GROUPS)),
    ],
)
def test_what_would_be_unsafe_or_half_is_refused_at_the_start(changes: dict[str, str], says: str) -> None:
    assert says in fault(**{**GIVEN, **changes})
