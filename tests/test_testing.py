"""The platform in memory, as the tests of others use it."""

import asyncio

import pytest

from artcafe import ArtcafeError, Client, Code, testing


async def test_agents_meet_on_the_real_wire() -> None:
    async with testing.platform() as running:
        planner, worker = await running.connect("planner"), await running.connect("worker")
        async with worker.subscribe("agents.worker.>") as questions:
            asking = asyncio.create_task(planner.request("agents.worker.sum", [1, 2]))
            question = await anext(questions)
            assert (question.sender, question.data) == ("planner", [1, 2])
            await question.respond(3)
            assert await asking == 3
        with pytest.raises(ArtcafeError) as refused:
            await planner.subscribe("agents.worker.>")
        assert refused.value.code is Code.forbidden
    assert not planner.connected


async def test_an_agent_has_one_key_and_may_connect_again() -> None:
    async with testing.platform("acme") as running:
        assert running.tenant == "acme"
        assert await running.key("a") == await running.key("a")
        one, two = await running.connect("a"), await running.connect("a", timeout=3)
        async with one.subscribe("x") as messages:
            await two.publish("x", 1)
            assert (await anext(messages)).data == 1


async def test_a_durable_channel_stores_and_tells_late_joiners() -> None:
    async with testing.platform() as running:
        await running.durable_channel("results", "results.>", max_messages=3)
        client = await running.connect("a")
        for number in range(5):
            await client.publish("results.new", number)
        async with client.subscribe("results.>", since="all") as messages:
            assert [(await anext(messages)).data for _ in range(3)] == [2, 3, 4]
        page = await running.rest.history("results")
        assert [each["data"] for each in page["messages"]] == [2, 3, 4]


async def test_the_rest_api_rules_live_connections() -> None:
    async with testing.platform() as running:
        client = await running.connect("a")
        await client.publish("x", 1)
        await running.rest.change_agent("a", policy={"publish": {"allow": ["y"]}})
        with pytest.raises(ArtcafeError) as refused:
            await _publish_for_ever(client)
        assert refused.value.code is Code.forbidden


async def _publish_for_ever(client: Client) -> None:
    while True:
        await client.publish("x", 1)


async def test_two_platforms_know_nothing_of_each_other() -> None:
    async with testing.platform() as one, testing.platform() as two:
        key = await one.key("a")
        await two.key("a")
        with pytest.raises(ArtcafeError) as refused:
            await Client(two.url, tenant=two.tenant, agent="a", key=key).connect()
        assert refused.value.code is Code.unauthorized


async def test_nothing_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARTCAFE_STORE", "dynamodb")
    monkeypatch.setenv("NATS_URL", "nats://127.0.0.1:1")
    monkeypatch.setenv("ARTCAFE_OIDC_ISSUER", "https://issuer.example")
    async with testing.platform() as running:
        await running.connect("a")


async def test_nothing_is_left_behind() -> None:
    before = asyncio.all_tasks()
    async with testing.platform() as running:
        folder = (await running.key("a")).parent
        assert folder.exists()
    assert asyncio.all_tasks() == before
    assert not folder.exists()


def test_it_runs_in_a_thread_for_tests_that_block() -> None:
    with testing.platform_in_thread() as (running, thread):
        client = thread.run(running.connect("a"))
        assert thread.run(client.publish("x", 1))
    assert thread.closed


async def test_an_error_of_the_block_comes_out_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with testing.platform():
            _ = 1 / 0
