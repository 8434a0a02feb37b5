"""What systemd hears; the whole process is in tests/e2e/test_units.py."""

import asyncio
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from artcafe.server.notify import Supervisor


@contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as there:
        there.bind(address)
        there.settimeout(5)
        yield there


def test_a_path_and_an_abstract_address(tmp_path: Path) -> None:
    name = f"artcafe-test-{os.getpid()}"
    for told, bound in ((f"{tmp_path / 'notify'}", f"{tmp_path / 'notify'}"), (f"@{name}", f"\0{name}")):
        with listening(bound) as there:
            Supervisor({"NOTIFY_SOCKET": told}).tell("READY=1")
            assert there.recv(100) == b"READY=1"


async def test_nobody_there_is_nothing_to_tell(caplog: pytest.LogCaptureFixture) -> None:
    nobody = Supervisor({"WATCHDOG_USEC": "20000000"})
    nobody.tell("READY=1")
    await nobody.beat()
    assert caplog.records == []


def test_who_does_not_hear_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Supervisor({"NOTIFY_SOCKET": f"{tmp_path / 'gone'}"}).tell("READY=1")
    assert [(r.levelno, "READY=1" in r.getMessage()) for r in caplog.records] == [(logging.WARNING, True)]


@pytest.mark.parametrize(
    ("named", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "20000000"}, 10.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": f"{os.getpid()}"}, 10.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
    ids=["never", "anybody", "this", "another", "zero", "nonsense"],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_asks(named: dict[str, str], seconds: float | None) -> None:
    assert Supervisor({"NOTIFY_SOCKET": "@x", **named}).beat_seconds == seconds


async def test_it_beats_until_it_is_cancelled(tmp_path: Path) -> None:
    with listening(f"{tmp_path / 'notify'}") as there:
        supervisor = Supervisor({"NOTIFY_SOCKET": f"{tmp_path / 'notify'}", "WATCHDOG_USEC": "2000"})
        beating = asyncio.create_task(supervisor.beat())
        for _ in range(3):
            assert await asyncio.to_thread(there.recv, 100) == b"WATCHDOG=1"
        beating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await beating
