"""docs/operating.md, "Rotate": a platform under another operator seed, and back, with a real NATS."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from nats.errors import Error as NatsError

from artcafe.server.bus.accounts.operator import Operator
from tests.kit.nats import WallClock, connected
from tests.kit.platform import artcafe, environment, running_platform
from tests.kit.sockets import proven


def operator(data: Path, *words: str) -> None:
    """`artcafe operator …`."""
    subprocess.run(
        artcafe("operator", *words, "--data-dir", str(data)),
        check=True,
        env=environment(),
        stdout=subprocess.DEVNULL,
    )


def in_force(data: Path, file: str = "operator.seed") -> Operator:
    return Operator(bytes.fromhex((data / file).read_text().strip()), WallClock())


def nats_url(data: Path) -> str:
    [ports] = (data / "nats" / "ports").glob("*.ports")
    [url] = re.findall(r"nats://[0-9.:]+", ports.read_text())
    return str(url)


async def test_a_platform_goes_on_under_the_next_seed_and_the_old_one_opens_nothing(
    tmp_path: Path, new_key: Callable[[], Path]
) -> None:
    key = new_key()

    async def talks(ws: str) -> None:
        async with proven(ws, "acme", "planner", key) as agent:
            await agent.subscribe("tasks")
            await agent.send(type="publish", subject="tasks", data=1)
            await agent.expect("message", subject="tasks", data=1)

    with running_platform(tmp_path) as platform:
        platform.make_tenant("acme")
        platform.make_agent("acme", "planner", key)
        operator(tmp_path, "rotate")
        await talks(platform.ws)
    operator(tmp_path, "switch")
    with running_platform(tmp_path) as platform:
        await talks(platform.ws)
        stolen = in_force(tmp_path, "operator.seed.old")
        async with connected(nats_url(tmp_path), in_force(tmp_path).system_credentials()):
            pass
        for credentials in (stolen.system_credentials(), stolen.control_credentials()):
            with pytest.raises(NatsError, match="Authorization Violation"):
                async with connected(nats_url(tmp_path), credentials):
                    pass
    operator(tmp_path, "switch", "--back")
    with running_platform(tmp_path) as platform:
        await talks(platform.ws)
