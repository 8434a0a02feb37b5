"""The client's address behind proxies, and origins of pages."""

from ipaddress import ip_network

import pytest

from artcafe.server.domain.addresses import MAX_PROXIES, client_address, is_own_origin, network_of
from tests.kit.forwarded import CASES, PROXIES


@pytest.mark.parametrize(("peer", "lines", "client"), CASES)
def test_the_client_is_the_rightmost_address_that_is_no_trusted_proxy(
    peer: str, lines: tuple[str, ...], client: str
) -> None:
    assert client_address(peer, lines, PROXIES) == client


@pytest.mark.parametrize(("peer", "lines"), [(peer, lines) for peer, lines, _ in CASES])
def test_no_header_is_believed_unless_a_proxy_is_trusted(peer: str, lines: tuple[str, ...]) -> None:
    assert client_address(peer, lines, ()) == client_address(peer, (), ())


def test_a_long_row_of_trusted_proxies_is_read_to_a_bound() -> None:
    """The header may have 64 KiB, and each address costs some microseconds."""
    row = [f"10.0.{n // 250}.{n % 250 + 1}" for n in range(8000)]
    lines = ("203.0.113.9", ", ".join(row))

    assert client_address("10.9.9.9", lines, PROXIES) == row[-MAX_PROXIES]
    assert client_address("10.9.9.9", ("203.0.113.9", *row[1 - MAX_PROXIES :]), PROXIES) == "203.0.113.9"


def test_a_peer_with_a_zone_is_one_address_whatever_the_zone() -> None:
    assert client_address("fe80::1%eth0", (), ()) == "fe80::1"
    assert client_address("fe80::1%eth0", ("192.0.2.1",), [ip_network("fe80::/10")]) == "192.0.2.1"


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://example.com", "example.com"),
        ("https://example.com", "example.com:443"),
        ("https://example.com:443", "example.com"),
        ("http://example.com", "example.com:80"),
        ("http://localhost:8000", "localhost:8000"),
        ("https://EXAMPLE.com", "example.COM:443"),
        ("http://[::1]", "[::1]:80"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_a_port_that_is_left_out_is_the_schemes(origin: str, host: str) -> None:
    assert is_own_origin(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://example.com", "example.com:80"),
        ("http://example.com", "example.com:443"),
        ("https://example.com:8443", "example.com"),
        ("https://example.com", "example.org"),
        ("https://example.com.evil.example", "example.com"),
        ("https://evil.example/example.com", "example.com"),
        ("null", "null"),
        ("", ""),
        ("https://", ""),
        ("ftp://example.com", "example.com:443"),
    ],
)
def test_another_host_or_port_is_another_origin(origin: str, host: str) -> None:
    assert not is_own_origin(origin, host)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("a:b", "a:c", False),
        ("", "", True),
    ],
)
def test_addresses_that_one_client_has_all_of_count_together(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("unix", "unix"),
    ],
)
def test_an_address_stands_for_its_network(address: str, network: str) -> None:
    assert network_of(address) == network
