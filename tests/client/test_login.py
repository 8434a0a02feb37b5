"""Logging in: what is signed, and above all what is not."""

from pathlib import Path

import pytest

from artcafe import ArtcafeError, Code, SignerError
from tests.kit.scripted_client import Seal, client_of
from tests.kit.scripted_server import Peer, scripted, stay
from tests.kit.ssh_keys import make_key, public_line, ssh_keygen_accepts


async def test_the_login_is_signed_by_the_key_and_openssh_accepts_it(tmp_path: Path) -> None:
    key = make_key(tmp_path)
    async with scripted(stay) as server, client_of(server, key=key):
        auth = server.peers[0].auth
        assert auth is not None
        assert auth.client is not None
        assert (auth.format, auth.client.name) == ("sshsig", "artcafe-python")
        text = (
            f"artcafe-agent-auth/1\nserver={server.url}\ntenant=acme\nagent=planner\n"
            f"connection=c1\nnonce={'n' * 43}\nexpires=1800000000\n"
        )
        assert ssh_keygen_accepts(tmp_path, public_line(key), text, auth.signature)
    asked = server.requests[0]
    assert asked.path == "/api/v1/ws/agent/planner?tenant_id=acme"
    assert asked.headers["Sec-WebSocket-Protocol"] == "artcafe.v1"
    assert asked.headers["User-Agent"].startswith("artcafe-python/")
    assert "Sec-WebSocket-Extensions" not in asked.headers


async def test_a_tilde_in_the_path_of_the_key_is_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    make_key(tmp_path, name="id_agent")
    async with scripted(stay) as server, client_of(server, key="~/id_agent") as client:
        assert client.connected


async def test_a_key_that_cannot_be_read_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(SignerError, match="no key file"):
        client_of("ws://127.0.0.1:1", key=tmp_path / "nothing")


@pytest.mark.parametrize(
    "lie",
    [
        {"server": "wss://bank.example"},
        {"tenant": "other"},
        {"agent": "admin"},
        {"namespace": "file"},
        {"text": "please sign"},
    ],
    ids=lambda lie: next(iter(lie)),
)
async def test_nothing_is_signed_for_another_server_tenant_agent_or_purpose(lie: dict[str, str]) -> None:
    async def relay(peer: Peer) -> None:
        await peer.challenge(**lie)

    seal = Seal()
    async with scripted(relay) as server:
        with pytest.raises(ArtcafeError, match="The login was stopped") as caught:
            await client_of(server, key=seal).connect()
    assert caught.value.code is Code.unauthorized
    assert seal.signed == []
    assert len(server.peers) == 1


async def test_a_second_challenge_is_not_signed() -> None:
    async def greedy(peer: Peer) -> None:
        await peer.challenge()
        await peer.socket.recv()
        await peer.challenge()

    seal = Seal()
    async with scripted(greedy) as server:
        with pytest.raises(ArtcafeError, match="second challenge"):
            await client_of(server, key=seal).connect()
    assert len(seal.signed) == 1


async def test_a_signer_that_refuses_ends_the_login_with_its_sentence() -> None:
    async with scripted(stay) as server:
        with pytest.raises(ArtcafeError, match="The ssh-agent is locked") as caught:
            await client_of(server, key=Seal(SignerError("The ssh-agent is locked."))).connect()
    assert caught.value.code is Code.unauthorized


async def test_a_signer_that_breaks_is_a_fault_and_told_as_such() -> None:
    async with scripted(stay) as server:
        with pytest.raises(RuntimeError, match="out of ink"):
            await client_of(server, key=Seal(RuntimeError("out of ink"))).connect()
