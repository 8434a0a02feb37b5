"""The operator seed: made once, for its owner's eyes, and rotated so that one is in force at every moment.

That a platform goes on under the next one is shown in tests/e2e/test_rotation.py.
"""

import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from artcafe.server.seed import SeedError, derived_secret, forget, load_seed, operators, prepare, switch
from artcafe.server.settings import Settings, load


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
    with pytest.raises(SeedError, match="64 hexadecimal digits"):
        load_seed(load(data_dir=tmp_path))
    assert path.read_text() == text


def test_a_seed_that_others_can_read_is_refused(tmp_path: Path) -> None:
    settings = load(data_dir=tmp_path)
    load_seed(settings)
    (tmp_path / "operator.seed").chmod(0o640)
    with pytest.raises(SeedError, match="read by others"):
        load_seed(settings)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """With a seed in force."""
    settings = load(data_dir=tmp_path)
    load_seed(settings)
    return settings


def files(settings: Settings) -> dict[str, str]:
    return {path.name: path.read_text() for path in settings.data_dir.iterdir()}


def test_the_next_seed_is_another_one_and_changes_nothing(settings: Settings) -> None:
    seed = load_seed(settings)
    path = prepare(settings)
    assert load_seed(settings) == seed != load_seed(settings, upcoming=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(files(settings)) == ["operator.seed", "operator.seed.next"]


def test_the_next_seed_belongs_to_whom_the_first_belongs(settings: Settings) -> None:
    """Root may rotate for the user of the servers, who has to read it. Nobody else gives files away."""
    whose = (65534, 65534) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(settings.data_dir / "operator.seed", *whose)
    owner = prepare(settings).stat()
    assert (owner.st_uid, owner.st_gid) == whose


def test_there_and_back_and_there_again(settings: Settings) -> None:
    first = load_seed(settings)
    prepare(settings)
    second = load_seed(settings, upcoming=True)
    for _ in range(2):
        switch(settings)
        assert load_seed(settings) == second
        assert sorted(files(settings)) == ["operator.seed", "operator.seed.old"]
        switch(settings, back=True)
        assert (load_seed(settings), load_seed(settings, upcoming=True)) == (first, second)
    switch(settings)
    assert [path.name for path in forget(settings)] == ["operator.seed.old"]
    assert files(settings) == {"operator.seed": second.hex() + "\n"}
    assert forget(settings) == []


@pytest.mark.parametrize("back", [False, True])
def test_a_switch_that_was_interrupted_is_done_again(settings: Settings, back: bool) -> None:
    prepare(settings)
    wanted, kept = load_seed(settings, upcoming=True), "operator.seed.old"
    if back:
        wanted, kept = load_seed(settings), "operator.seed.next"
        switch(settings)
    os.link(settings.data_dir / "operator.seed", settings.data_dir / kept)
    switch(settings, back=back)
    assert load_seed(settings) == wanted
    assert sorted(files(settings)) == sorted(["operator.seed", kept])


def nothing(settings: Settings) -> None:
    """Begin with the seed in force alone."""


def switched(settings: Settings) -> None:
    prepare(settings)
    switch(settings)


def old_one_left(settings: Settings) -> None:
    prepare(settings)
    (settings.data_dir / "operator.seed.old").touch(0o600)


def readable(settings: Settings) -> None:
    prepare(settings).chmod(0o644)


def damaged(settings: Settings) -> None:
    prepare(settings).write_text("ab")


def back(settings: Settings) -> None:
    switch(settings, back=True)


@pytest.mark.parametrize(
    ("given", "act", "says"),
    [
        (prepare, prepare, "under way"),
        (switched, prepare, "ends the rotation before"),
        (old_one_left, switch, "when nothing uses it"),
        (nothing, switch, "next cannot be read"),
        (nothing, back, "old cannot be read"),
        (readable, switch, "next can be read by others"),
        (damaged, switch, "next does not hold 64"),
    ],
)
def test_what_cannot_be_done_changes_nothing(
    settings: Settings,
    given: Callable[[Settings], object],
    act: Callable[[Settings], object],
    says: str,
) -> None:
    given(settings)
    before = files(settings)
    with pytest.raises(SeedError, match=says):
        act(settings)
    assert files(settings) == before


@pytest.mark.parametrize("act", [prepare, switch, forget, operators])
def test_a_seed_in_the_settings_is_rotated_there(
    settings: Settings, act: Callable[[Settings], object]
) -> None:
    before = files(settings)
    with pytest.raises(SeedError, match="ARTCAFE_OPERATOR_SEED"):
        act(load(data_dir=settings.data_dir, operator_seed="ab" * 32))
    assert files(settings) == before


def test_each_seed_is_told_by_its_public_key(settings: Settings) -> None:
    prepare(settings)
    told = operators(settings)
    assert list(told) == ["operator.seed", "operator.seed.next"]
    switch(settings)
    assert operators(settings) == {
        "operator.seed": told["operator.seed.next"],
        "operator.seed.old": told["operator.seed"],
    }


def test_each_purpose_has_a_secret_of_its_own_from_the_key_that_is_set_or_the_seed() -> None:
    settings = load(secret_key="k" * 32)
    made = [derived_secret(settings, b"seed", purpose) for purpose in ("page tokens", "sealed answers")]
    assert len({*made, *(derived_secret(load(), b"seed", purpose) for purpose in ("page tokens", "x"))}) == 4
    assert derived_secret(settings, b"another seed", "page tokens") == made[0]
    assert derived_secret(load(), b"another seed", "page tokens") != derived_secret(
        load(), b"seed", "page tokens"
    )
