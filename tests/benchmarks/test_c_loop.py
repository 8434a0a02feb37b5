"""The floor is one that carries messages: every size, to several, with and without the bus."""

from contextlib import closing
from pathlib import Path

import pytest
from websockets.sync.client import connect

from benchmarks.generator import Generator
from benchmarks.peers.c_loop import CLoop, CLoopWithBus


@pytest.mark.parametrize("peer", [CLoop(), CLoopWithBus()], ids=lambda peer: peer.name)
def test_a_c_loop_carries_every_message(peer: CLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if peer.missing() is None:
        server, place = peer.start(tmp_path, None)
        with closing(Generator(peer.dialect(place), (place["host"], place["port"]))) as load:
            load.join(2, 3, 256)
            assert load.closed(0.0, 16).delivered == 2 * 3 * 16
            for size in (64, 8192, 70_000):
                load.resize(size)
                assert load.closed(0.0, 4).delivered == 2 * 3 * 4
            load.leave()
            load.join(1, 1, 256)
            assert load.closed(0.0, 1).delivered == 1
        server.stop()
    monkeypatch.setenv("PATH", "")
    assert peer.missing() == "there is no C compiler"


def test_its_handshake_is_one_that_a_real_client_takes(tmp_path: Path) -> None:
    peer = CLoop()
    if peer.missing() is None:
        server, place = peer.start(tmp_path, None)
        with connect(f"ws://{place['host']}:{place['port']}/ws", compression=None, proxy=None) as client:
            client.send('{"type":"subscribe","subject":"a.b"}')
            assert client.recv(5) == '{"type":"subscribed","subject":"a.b"}'
            client.send('{"type":"publish","subject":"a.b","data":{"x":1}}')
            assert client.recv(5) == '{"type":"message","subject":"a.b","data":{"x":1}}'
        server.stop()
