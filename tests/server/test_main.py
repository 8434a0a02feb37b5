"""The processes' small print; starting and stopping is in tests/e2e/test_start_and_stop.py."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from artcafe.server.main import StartFailed, load_seed, nats_config
from artcafe.server.settings import load


def test_the_seed_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    settings = load(data_dir=tmp_path)
    seed = load_seed(settings)
    assert (len(seed), load_seed(settings)) == (32, seed)
    assert stat.S_IMODE((tmp_path / "operator.seed").stat().st_mode) == 0o600


def test_of_processes_that_start_at_once_all_get_the_seed_of_one(tmp_path: Path) -> None:
    settings = load(data_dir=tmp_path)
    with ThreadPoolExecutor(8) as pool:
        seeds = set(pool.map(lambda _: load_seed(settings), range(64)))
    assert len(seeds) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["operator.seed"]


def test_a_seed_in_the_settings_comes_first(tmp_path: Path) -> None:
    load_seed(load(data_dir=tmp_path))
    assert load_seed(load(data_dir=tmp_path, operator_seed="ab" * 32)) == b"\xab" * 32


@pytest.mark.parametrize("text", ["", "zz" * 32, "ab" * 31])
def test_a_damaged_seed_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "operator.seed"
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(StartFailed, match="64 hexadecimal digits"):
        load_seed(load(data_dir=tmp_path))
    assert path.read_text() == text


def test_a_seed_that_others_can_read_is_refused(tmp_path: Path) -> None:
    settings = load(data_dir=tmp_path)
    load_seed(settings)
    (tmp_path / "operator.seed").chmod(0o640)
    with pytest.raises(StartFailed, match="read by others"):
        load_seed(settings)


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
