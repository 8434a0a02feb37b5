"""docs/operating.md: what a backup brings back, and what a new operator seed loses."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.kit.platform import running_platform
from tests.kit.sockets import proven


@pytest.mark.parametrize("seed", ["old seed", "new seed"])
async def test_a_copy_made_while_it_runs_is_the_whole_service(
    tmp_path: Path, new_key: Callable[[], Path], seed: str
) -> None:
    """The bus is made anew from the store: on another host, and under a seed that nobody else knows."""
    key, before, after = new_key(), tmp_path / "before", tmp_path / "after"
    after.mkdir(mode=0o700)
    with running_platform(before) as platform:
        platform.make_tenant("acme")
        platform.make_agent("acme", "planner", key)
        with closing(sqlite3.connect(before / "store.sqlite")) as db:
            db.execute(f"VACUUM INTO '{after / 'store.sqlite'}'")
    shutil.copytree(before / "issuer", after / "issuer")
    if seed == "old seed":
        shutil.copy2(before / "operator.seed", after)

    with running_platform(after) as restored:
        kept = (after / "operator.seed").read_text() == (before / "operator.seed").read_text()
        assert kept == (seed == "old seed")
        async with proven(restored.ws, "acme", "planner", key) as agent:
            await agent.subscribe("tasks")
            await agent.send(type="publish", subject="tasks", data=1)
            await agent.expect("message", subject="tasks", data=1)
