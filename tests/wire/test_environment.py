"""Names of variables: ours, Kubernetes', and nobody's."""

import pytest

from artcafe.wire.environment import is_service_link, unknown

KNOWN = {"ARTCAFE_PORT", "ARTCAFE_TENANT", "ARTCAFE_OIDC_ISSUER", "ARTCAFE_NATS_PORT"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ARTCAFE_PORT", "tcp://10.96.12.1:8000"),
        ("ARTCAFE_PORT", "udp://[fd00::1]:8000"),
        ("ARTCAFE_SERVICE_HOST", "10.96.12.1"),
        ("ARTCAFE_SERVICE_PORT", "8000"),
        ("ARTCAFE_SERVICE_PORT_HTTP", "8000"),
        ("ARTCAFE_PORT_8000_TCP", "tcp://10.96.12.1:8000"),
        ("ARTCAFE_PORT_8000_TCP_PROTO", "tcp"),
        ("ARTCAFE_PORT_8000_TCP_PORT", "8000"),
        ("ARTCAFE_PORT_8000_TCP_ADDR", "10.96.12.1"),
        ("ARTCAFE_PORT_5353_UDP_ADDR", "10.96.12.1"),
        # Of a Service called artcafe-nats, artcafe-console-v2, …
        ("ARTCAFE_NATS_PORT", "tcp://10.96.12.2:4222"),
        ("ARTCAFE_NATS_SERVICE_HOST", "10.96.12.2"),
        ("ARTCAFE_CONSOLE_V2_SERVICE_PORT_WEB", "80"),
        ("ARTCAFE_CONSOLE_V2_PORT_80_TCP", "tcp://10.96.12.3:80"),
    ],
)
def test_what_kubernetes_makes_of_services_is_known(name: str, value: str) -> None:
    assert is_service_link(name, value)
    assert unknown({name: value}, KNOWN - {name}) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ARTCAFE_PORT", "8000"),
        ("ARTCAFE_PORT", "http://10.96.12.1:8000"),
        ("ARTCAFE_PORT", ""),
        ("ARTCAFE_PORT_8000", "1"),
        ("ARTCAFE_SERVICE", "1"),
        ("ARTCAFE_PUBLIC_URL", "tcp://10.96.12.1:8000"),
        ("POSTGRES_PORT", "tcp://10.96.12.1:5432"),
    ],
)
def test_anything_else_is_not(name: str, value: str) -> None:
    assert not is_service_link(name, value)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("ARTCAFE_TENNANT", "ARTCAFE_TENANT"),
        ("ARTCAFE_OIDC_ISUER", "ARTCAFE_OIDC_ISSUER"),
        ("artcafe_oidc_issuers", "ARTCAFE_OIDC_ISSUER"),
        ("ARTCAFE_PROT", "ARTCAFE_PORT"),
    ],
)
def test_a_name_that_nobody_knows_is_told_with_the_nearest_one(name: str, nearest: str) -> None:
    environment = {name: "x", "HOME": "/", "ARTCAFE_TENANT": "acme", "artcafe_port": "1"}

    assert unknown(environment, KNOWN) == [f"{name}: no such setting; did you mean {nearest}?"]


def test_a_name_that_is_near_to_nothing_is_told_alone() -> None:
    assert unknown({"ARTCAFE_": "", "ARTCAFE_ÄÖÜ": "x"}, set()) == [
        "ARTCAFE_: no such setting",
        "ARTCAFE_ÄÖÜ: no such setting",
    ]
