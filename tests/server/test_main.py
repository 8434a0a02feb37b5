"""The processes' small print; starting and stopping is in tests/e2e/test_start_and_stop.py."""

import errno
from pathlib import Path

import pytest

from artcafe.server.main import StartError, agent_addresses, nats_config, run
from artcafe.server.process import Place
from artcafe.server.seed import load_seed
from artcafe.server.settings import load


def test_the_configuration_of_nats_is_the_same_every_time_and_holds_no_secret(tmp_path: Path) -> None:
    settings = load(data_dir=tmp_path)

    def keys(text: str) -> list[str]:
        return [line for line in text.splitlines() if "eyJ" not in line]

    one, two = (
        nats_config(settings, listen="127.0.0.1:4222", data_dir=Path("/var/lib/nats"), name="n1")
        for _ in range(2)
    )
    assert keys(one) == keys(two)
    assert "sync_interval: always" in one
    assert load_seed(settings).hex() not in one


@pytest.mark.parametrize(
    ("host", "agents"),
    [
        ("127.0.0.1", ()),
        ("localhost", ()),
        ("::1", ()),
        ("0.0.0.0", ("ws://127.0.0.1:8000", "ws://[::1]:8000", "ws://localhost:8000")),
        ("::", ("ws://127.0.0.1:8000", "ws://[::1]:8000", "ws://localhost:8000")),
        ("192.168.1.5", ("ws://192.168.1.5:8000",)),
        ("fd00::5", ("ws://[fd00::5]:8000",)),
    ],
)
def test_where_agents_may_come_is_told_to_who_listens_for_others(host: str, agents: tuple[str, ...]) -> None:
    assert agent_addresses(load(host=host), Place(host, 8000)) == agents
    assert agent_addresses(load(host=host, public_url="wss://a.example"), Place(host, 8000)) == ()


@pytest.mark.parametrize(
    ("number", "name", "said"),
    [
        (errno.ENOSPC, None, "Cannot start: the disk is full"),
        (errno.EDQUOT, "/data/operator.seed", "/data/operator.seed: the disk is full"),
        (errno.EACCES, "/data/x", "/data/x: Permission denied"),
    ],
)
def test_a_file_that_cannot_be_written_at_the_start_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, name: str | None, said: str
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(number, "Permission denied", name)

    monkeypatch.setattr("os.fsync", full)  # What the operator seed is written with.

    with pytest.raises(StartError, match=f"^{said}$"):
        run(load(data_dir=tmp_path, port=0), embedded=True, ready=lambda _: None)
