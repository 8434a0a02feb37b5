"""Which servers are known, and whom to try first."""

import pytest

from artcafe.server.bus.nats.servers import ServerAddress, ServerPool, server_address


def places(servers: ServerPool) -> list[str]:
    """The servers in order."""
    return list(map(str, servers.order()))


def test_addresses() -> None:
    assert server_address("nats://bus.example:4300") == ServerAddress(
        "bus.example", 4300, False, "bus.example"
    )
    assert server_address("tls://[::1]") == ServerAddress("::1", 4222, True, "::1")
    for wrong in ["bus.example:4222", "http://bus.example", "nats://", "nats://host:99999"]:
        with pytest.raises(ValueError, match=r"address|[Pp]ort"):
            server_address(wrong)


def test_one_that_failed_is_tried_after_the_others() -> None:
    servers = ServerPool(["nats://a", "nats://b", "nats://c"], lambda: 0.0)
    assert places(servers) == ["a:4222", "b:4222", "c:4222"]
    servers.failed(servers.order()[0])
    assert places(servers) == ["b:4222", "c:4222", "a:4222"]
    servers.failed(server_address("nats://unknown"))
    assert len(servers) == 3


def test_processes_begin_in_different_orders_and_nothing_is_drawn_for_one() -> None:
    draws = iter([0.9, 0.1])
    assert places(ServerPool(["nats://a", "nats://b"], lambda: next(draws))) == ["b:4222", "a:4222"]
    assert places(ServerPool(["nats://a"], lambda: next(draws))) == ["a:4222"]


def test_the_cluster_tells_of_others_and_of_those_that_have_gone() -> None:
    servers = ServerPool(["nats://a"], lambda: 0.0)
    source = servers.order()[0]
    servers.learn(source, ["10.0.0.1:4222", "10.0.0.2:4222", "a:4222"])
    assert places(servers) == ["a:4222", "10.0.0.1:4222", "10.0.0.2:4222"]
    servers.learn(source, ["10.0.0.2:4222", "[::1]:4223", "no port", "host:x", ":1"])
    assert places(servers) == ["a:4222", "10.0.0.2:4222", "::1:4223"], "what was configured stays"
    servers.learn(source, [])
    assert places(servers) == ["a:4222"]


def test_who_is_known_through_a_secure_server_is_secure() -> None:
    servers = ServerPool(["tls://bus.example"], lambda: 0.0)
    servers.learn(servers.order()[0], ["10.0.0.1:4222", "other.example:4222"])
    assert servers.order()[1:] == (
        ServerAddress("10.0.0.1", 4222, True, "bus.example"),
        ServerAddress("other.example", 4222, True, "other.example"),
    )


def test_what_others_were_told_comes_behind_what_was_configured() -> None:
    told = [server_address("tls://10.0.0.2:4222"), server_address("tls://10.0.0.1:4222")]
    servers = ServerPool(["nats://10.0.0.1:4222"], lambda: 0.0, told)
    assert [f"{each}" for each in servers.order()] == ["10.0.0.1:4222", "10.0.0.2:4222"]
