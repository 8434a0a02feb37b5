"""`artcafe nginx-config`; what it writes is run in tests/e2e/test_nginx.py."""

from pathlib import Path

import pytest

from tests.kit.command_line import CommandLine

SHIPPED = Path(__file__).parents[2] / "deploy" / "nginx" / "nginx.conf"

NAMED = ("nginx-config", "--server-name", "pubsub.example.com")


def test_the_shipped_configuration_is_what_the_command_writes(artcafe: CommandLine) -> None:
    """`artcafe nginx-config --server-name pubsub.example.com > deploy/nginx/nginx.conf` makes it anew."""
    assert artcafe(*NAMED).stdout == SHIPPED.read_text()


def test_several_names_upstreams_and_origins(artcafe: CommandLine) -> None:
    result = artcafe(
        *NAMED,
        *("--server-name", "ws.example.com", "--origin", "https://app.example.com"),
        *("--upstream", "10.0.0.1:8000", "--upstream", "[fd00::2]:8000"),
    )
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count("server_name pubsub.example.com ws.example.com;") == 2
    assert '"https://app.example.com" 1;' in result.stdout
    for upstream in ("10.0.0.1:8000", "[fd00::2]:8000"):
        assert result.stdout.count(f"server {upstream} ") == 2
    assert "127.0.0.1:8000" not in result.stdout
    assert "ssl_certificate /etc/letsencrypt/live/pubsub.example.com/fullchain.pem;" in result.stdout


def test_addresses_of_clients_come_from_a_balancer_only_when_one_is_named(artcafe: CommandLine) -> None:
    assert "real_ip" not in artcafe(*NAMED).stdout
    behind = artcafe(*NAMED, "--balancer", "10.0.0.0/8", "--balancer", "fd00::/8").stdout
    assert "set_real_ip_from 10.0.0.0/8;" in behind
    assert "set_real_ip_from fd00::/8;" in behind
    assert "real_ip_header X-Forwarded-For;" in behind


@pytest.mark.parametrize(
    "words",
    [
        ("nginx-config",),
        ("nginx-config", "--server-name", "a; return 200"),
        (*NAMED, "--upstream", "10.0.0.1"),
        (*NAMED, "--upstream", "a:1; b"),
        (*NAMED, "--origin", "https://app.example.com/"),
        (*NAMED, "--origin", "*"),
        (*NAMED, "--balancer", "10.0.0.1/8"),
        (*NAMED, "--log-dir", "/var/log nginx"),
        (*NAMED, "--certificate", "relative.pem"),
        (*NAMED, "--user", "a b"),
        (*NAMED, "--https-port", "0"),
        (*NAMED, "--address-rate", "0"),
    ],
)
def test_what_would_break_the_configuration_is_wrong_usage(
    artcafe: CommandLine, words: tuple[str, ...]
) -> None:
    result = artcafe(*words)
    assert (result.exit_code, result.stdout) == (2, "")
