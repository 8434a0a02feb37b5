"""The whole platform on DynamoDB: what is stored outlives it, and a second server sees it."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from tests.kit import dynoxide
from tests.kit.platform import artcafe, environment, running_platform
from tests.kit.sockets import proven
from tests.kit.ssh_keys import make_key


@pytest.fixture
def settings() -> dict[str, str]:
    """A table of its own; credentials and address as the tools of AWS find them."""
    place = asyncio.run(dynoxide.new_place())
    return {"ARTCAFE_STORE": f"dynamodb:{place.table}", **dynoxide.environment()}


async def test_everything_is_in_the_table_and_outlives_the_server(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    key = make_key(tmp_path)
    with running_platform(tmp_path / "data", settings=settings) as platform:
        platform.make_tenant("acme")
        platform.make_agent("acme", "a", key)
        async with proven(platform.ws, "acme", "a", key) as agent:
            await agent.subscribe("tasks")
            await agent.send(type="publish", subject="tasks", data={"n": 1}, id="1")
            assert {(await agent.receive())["type"] for _ in range(2)} == {"message", "ack"}
        assert platform.stop() == 0
    assert not (tmp_path / "data" / "store.sqlite").exists()

    with running_platform(tmp_path / "data", settings=settings) as platform:
        async with proven(platform.ws, "acme", "a", key):
            pass
        with platform.rest("acme") as rest:
            assert rest.get("/usage-metrics").json()["totals"]["messages_count"] == 1
            agent_now = rest.get("/agents/a").json()["agent"]
        assert (agent_now["total_messages_sent"], agent_now["total_messages_received"]) == (1, 1)
        assert platform.stop() == 0


def test_a_table_that_is_not_there_is_told_in_a_sentence(tmp_path: Path, settings: dict[str, str]) -> None:
    missing = {**settings, "ARTCAFE_STORE": "dynamodb:nowhere"}
    with pytest.raises(AssertionError) as ended, running_platform(tmp_path / "data", settings=missing):
        pass

    said = f"{ended.value}"
    assert "table" in said
    assert "Traceback" not in said


async def test_a_platform_moves_from_its_file_to_a_table_and_back(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    key, data = make_key(tmp_path), tmp_path / "data"
    with running_platform(data) as platform:
        platform.make_tenant("acme")
        platform.make_agent("acme", "a", key)
        assert platform.stop() == 0
    table = settings.pop("ARTCAFE_STORE")
    for source, target, store in (("sqlite", table, table), (table, f"sqlite:{data / 'back.sqlite'}", None)):
        moved = subprocess.run(
            artcafe("store", "copy", "--data-dir", str(data), "--from", source, "--to", target),
            capture_output=True,
            text=True,
            check=False,
            env=environment(**settings),
        )
        assert moved.returncode == 0, moved.stderr
        assert "are the same on both sides" in moved.stdout
        if store is None:
            (data / "back.sqlite").replace(data / "store.sqlite")
        with running_platform(data, settings={**settings, "ARTCAFE_STORE": store or "sqlite"}) as platform:
            async with proven(platform.ws, "acme", "a", key):
                pass
            assert platform.stop() == 0
