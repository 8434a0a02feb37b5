"""The settings about groups: both or neither, and none that users could choose for themselves."""

import pytest

from artcafe.server.domain.groups import NOT_FOR_GROUPS
from artcafe.server.domain.operators import TenantCreation
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
        ({"oidc_issuer": ""}, "ARTCAFE_OIDC_GROUP_CLAIM: needs an issuer"),
        *(({"oidc_group_claim": name}, "ARTCAFE_OIDC_GROUP_CLAIM: ") for name in sorted(NOT_FOR_GROUPS)),
    ],
)
def test_what_would_be_unsafe_or_half_is_refused_at_the_start(changes: dict[str, str], says: str) -> None:
    assert says in fault(**{**GIVEN, **changes})


def test_a_group_of_operators_goes_with_the_claim_alone() -> None:
    settings = load(**{**GIVEN, "oidc_groups": "", "operator_group": "ops"})

    assert settings.operators_with().group == "ops"
    assert "ARTCAFE_OPERATOR_GROUP: needs ARTCAFE_OIDC_GROUP_CLAIM" in fault(**ISSUER, operator_group="ops")


def test_operators_are_subjects_and_whoever_is_one_anyway() -> None:
    settings = load(**ISSUER, operators=" ada, auth0|5f7 ,")

    assert settings.operators_with("local-owner").subjects == {"ada", "auth0|5f7", "local-owner"}
    assert load(**ISSUER).operators_with().subjects == frozenset()


@pytest.mark.parametrize(
    ("given", "anybody"),
    [({}, False), (ISSUER, True), ({**ISSUER, "tenant_creation": "operator", "operators": "ada"}, False)],
)
def test_who_makes_tenants_depends_on_the_issuer_unless_it_is_set(
    given: dict[str, str], *, anybody: bool
) -> None:
    creation = load(**given).creation

    assert (creation.anybody, creation.most) == (anybody, 3)
    set_otherwise = {**given, "tenant_creation": "anybody", "max_tenants_per_user": "1"}
    assert load(**set_otherwise).creation == TenantCreation(anybody=True, most=1)


def test_where_only_operators_make_tenants_there_is_one() -> None:
    assert "else nobody makes tenants" in fault(**ISSUER, tenant_creation="operator")
    assert "ARTCAFE_TENANT_CREATION" in fault(tenant_creation="everybody")
    assert "ARTCAFE_MAX_TENANTS_PER_USER" in fault(max_tenants_per_user="0")


@pytest.mark.parametrize(("given", "tier"), [({}, "enterprise"), (ISSUER, "starter")])
def test_a_new_tenant_is_of_the_smallest_plan_where_strangers_may_make_one(
    given: dict[str, str], tier: str
) -> None:
    assert load(**given).tier_of_new_tenants == tier
    assert load(**given, default_tier="growth").tier_of_new_tenants == "growth"
