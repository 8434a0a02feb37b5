"""The floor is one that carries messages: every size, to several, with and without the bus."""

from contextlib import closing
from pathlib import Path

import pytest

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
