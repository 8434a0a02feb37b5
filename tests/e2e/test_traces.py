"""One trace over a chain of agents, and those of REST and logins, as a collector gets them."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from artcafe import Client
from tests.kit.collector import Collector, running_collector
from tests.kit.deadlines import eventually
from tests.kit.platform import RunningPlatform, running_platform
from tests.kit.ssh_keys import make_key

SECONDS = 30.0
CHAIN = ("planner", "writer", "editor")
TENANT = "acme"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


@pytest.fixture(scope="module")
def platform(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    folder = tmp_path_factory.mktemp("traced")
    settings = {"ARTCAFE_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with running_platform(folder / "data", settings=settings) as running:
        running.make_tenant(TENANT, allow_client_challenge=True)
        for name in CHAIN:
            running.make_agent(TENANT, name, make_key(folder, name=name))
        yield running


@pytest.fixture
def client(platform: RunningPlatform) -> Callable[[str], Client]:
    folder: Path = platform.data_dir.parent
    return lambda name: Client(platform.ws, tenant=TENANT, agent=name, key=folder / name)


async def test_one_trace_spans_a_chain_of_agents(
    collector: Collector, client: Callable[[str], Client]
) -> None:
    trace, root = secrets.token_hex(16), secrets.token_hex(8)
    async with (
        client("planner") as planner,
        client("writer") as writer,
        client("editor") as editor,
        await writer.subscribe("agents.writer.>") as drafts,
        await editor.subscribe("agents.editor.>") as texts,
    ):
        headers = {"traceparent": f"00-{trace}-{root}-01"}
        await planner.publish("agents.writer.draft", 1, headers=headers)
        draft = await anext(drafts)
        await writer.publish("agents.editor.text", 2, headers=draft.headers)
        text = await anext(texts)
        await planner.publish("agents.writer.untraced", 3, headers={"kind": "x"})
        await anext(drafts)
    await eventually(lambda: collector.named("deliver agents.editor.text"), "the last span", SECONDS)
    names = [
        "publish agents.writer.draft",
        "deliver agents.writer.draft",
        "publish agents.editor.text",
        "deliver agents.editor.text",
    ]
    first, heard, second, read = [collector.named(name)[0] for name in names]
    assert {span.trace for span in (first, heard, second, read)} == {trace}
    assert [span.parent for span in (first, heard, second, read)] == [
        root,
        first.span,
        first.span,
        second.span,
    ]
    assert text.headers is not None
    assert text.headers["traceparent"] == f"00-{trace}-{second.span}-01"
    assert not [span for span in collector.spans if "untraced" in span.name]


async def test_a_login_and_a_request_are_traced(
    platform: RunningPlatform, collector: Collector, client: Callable[[str], Client]
) -> None:
    trace = secrets.token_hex(16)
    async with client("planner"):
        pass
    with platform.rest(TENANT) as rest:
        rest.get("/agents/planner", headers={"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01"})
    await eventually(
        lambda: [span for span in collector.named("GET /api/v1/agents/{agent_id}") if span.trace == trace],
        "the request's span",
        SECONDS,
    )
    await eventually(lambda: collector.named("login"), "the login's span", SECONDS)
    assert collector.named("login")[0].attributes["artcafe.way"] == "websocket"
