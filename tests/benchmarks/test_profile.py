"""The tables of a profile: microseconds of what was seen, and no row for what is next to nothing."""

from pathlib import Path

import pytest

from benchmarks import profile, stacks
from benchmarks.measure import Machine
from benchmarks.peers.artcafe import ArtCafe
from benchmarks.peers.nats_server import NatsServer
from benchmarks.profile import CASES, Profile, Profiles, Work, works
from benchmarks.session import started


@pytest.fixture
def found() -> Profiles:
    message = Profile(
        "1→1 paced, 256 B",
        kinds={stacks.KERNEL: 14.0, stacks.PYTHON: 35.0},
        bus={stacks.KERNEL: 9.0, "its own code": 6.5},
        rooms={"gateway/sessions/agent_session.py": 34.8, "gateway/websocket/framing.py": 0.2},
        calls={"write": 2.0, "read": 2.0, "getpid": 0.001},
        bus_calls=7.85,
        samples={"perf": 1200, "py-spy": 300},
    )
    login = Profile(
        "login",
        kinds={stacks.KERNEL: 300.0, stacks.CRYPTO: 200.0},
        samples={"perf": 900, "py-spy": 400},
    )
    return Profiles(
        Machine(2, "A processor", "6.1", 0, 1), [message, login], {"C loop": {message.title: 27.2}}
    )


def test_every_kind_and_room_has_its_microseconds(found: Profiles) -> None:
    text = profile.text(found)
    for line in (
        "|  | 1→1 paced | login |",
        "| **all** | **64.5** | **500** |",
        "| artcafe: kernel | 14.0 | 300 |",
        "| artcafe: cryptography | - | 200 |",
        "| nats-server: its own code | 6.50 | - |",
        "| the floor: C loop | 27.2 | - |",
        "| gateway/sessions/agent_session.py | 34.8 | - |",
        "| write | 2.00 | - |",
        "| nats-server, all | 7.85 | - |",
    ):
        assert f"\n{line}\n" in f"\n{text}\n"
    assert "900 samples of a case or more" in text


def test_what_is_next_to_nothing_stands_with_the_others(found: Profiles) -> None:
    text = profile.text(found)
    assert "gateway/websocket/framing.py" not in text
    assert "\n| others | 0.200 | - |\n" in text
    assert "getpid" not in text


def test_there_may_be_no_floor(found: Profiles) -> None:
    found.floors.clear()
    assert "the floor" not in profile.text(found)


def test_the_floor_is_what_a_peer_takes_for_each_case(tmp_path: Path) -> None:
    with started([NatsServer()], tmp_path, None) as (running,):
        found = profile.floor_of(running, None, 0.02)
    assert set(found) == {case.title for case in CASES}
    assert all(spent > 0 for spent in found.values())


def test_every_piece_of_work_can_be_done(tmp_path: Path) -> None:
    with started([ArtCafe()], tmp_path, None) as (running,), works(running, None) as ready:
        done: list[Work] = []
        for make in ready:
            work = make()
            assert work.run(0.02) > 0
            done.append(work)
    assert [work.title for work in done] == [*(case.title for case in CASES), "login", "REST publish"]
