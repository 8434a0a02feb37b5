"""Which message goes where, and what the server is asked for."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from artcafe.client.calls import PendingCalls
from artcafe.client.routes import Routes
from artcafe.client.subscription import Subscription
from artcafe.client.transport import Transport
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.deliveries import DeliveryFrame
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import PATIENCE, eventually
from tests.kit.scripted_client import client_of
from tests.kit.scripted_server import Peer, message, scripted


async def no_reply(subject: str, data: Any, *, headers: Mapping[str, str] | None = None) -> str:
    raise AssertionError(subject)


async def no_answer(reply_to: str, *_: Any, **_more: Any) -> str:
    raise AssertionError(reply_to)


async def no_settling(frame: DeliveryFrame, *, confirm: bool) -> None:
    raise AssertionError(frame)


async def nothing(_subscription: Subscription) -> None:
    return


def routes_of() -> Routes:
    return Routes("acme", PendingCalls().next_id, no_reply, no_answer, no_settling)


def local(subject: str, queue: str | None = None, buffer: int = 100) -> Subscription:
    return Subscription(subject, queue=queue, buffer=buffer, opener=nothing, closer=nothing, drainer=nothing)


def asked(frame: bytes | None) -> frames.Subscribe:
    assert frame is not None
    read = frames.decode_client(frame)
    assert isinstance(read, frames.Subscribe)
    return read


def live(routes: Routes, subject: str, queue: str | None = None) -> Subscription:
    subscription = local(subject, queue)
    frame = routes.add(subscription)
    if frame is not None:
        routes.confirm(asked(frame).id or "", frames.Subscribed(subject="any"))
    return subscription


async def subjects(subscription: Subscription) -> list[str]:
    return [(await anext(subscription)).subject for _ in range(subscription.pending)]


async def test_a_message_reaches_every_subscription_that_matches_in_its_own_form() -> None:
    routes = routes_of()
    forms = ["tasks.new", "*.new", "tenant.acme.tasks.*", "tenant.acme.channel.>", "agents.acme.tasks.new"]
    subscriptions = [live(routes, form) for form in forms]
    others = [live(routes, form) for form in ("tasks", "tasks.new.>", "channels.acme.jobs.*")]
    # The server writes the subject in the form of one of them: whichever it is, all get it.
    for form in ("", "tenant.acme.", "tenant.acme.channel.", "agents.acme."):
        routes.dispatch(message(form + "tasks.new"))
    assert [await subjects(subscription) for subscription in subscriptions] == [
        ["tasks.new"] * 4,
        ["tasks.new"] * 4,
        ["tenant.acme.tasks.new"] * 4,
        ["tenant.acme.channel.tasks.new"] * 4,
        ["agents.acme.tasks.new"] * 4,
    ]
    assert [other.pending for other in others] == [0, 0, 0]


async def test_a_subject_of_a_newer_grammar_still_matches() -> None:
    routes = routes_of()
    subscription = live(routes, "tasks.*")
    routes.dispatch(message("tasks.a:b"))
    assert await subjects(subscription) == ["tasks.a:b"]


async def test_patterns_from_the_root_reach_shared_subjects_only() -> None:
    routes = routes_of()
    everything, direct = live(routes, ">"), live(routes, "agents.planner.>")
    for subject in ("a", "agents.planner.hello", "agents.presence.x"):
        routes.dispatch(message(subject))
    assert await subjects(everything) == ["a", "agents.presence.x"]
    assert await subjects(direct) == ["agents.planner.hello"]


async def test_a_queue_group_gives_each_message_to_its_least_busy_member_here() -> None:
    routes = routes_of()
    one, other = live(routes, "jobs.*", "w"), live(routes, "jobs.*", "w")
    assert len(routes) == 1
    for number in range(4):
        routes.dispatch(message("jobs.new", number))
    assert (one.pending, other.pending) == (2, 2)
    await anext(one)
    routes.dispatch(message("jobs.new"))
    assert (one.pending, other.pending) == (2, 2)


async def test_what_is_remembered_about_subjects_follows_the_subscriptions_and_has_a_bound() -> None:
    routes = routes_of()
    first = live(routes, "n.*")
    routes.dispatch(message("n.1"))
    second = live(routes, "n.1")
    routes.dispatch(message("n.1"))
    routes.remove(first)
    routes.dispatch(message("n.1"))
    assert (first.pending, second.pending) == (2, 2)
    for number in range(3000):
        routes.dispatch(message(f"n.{number}"))
    assert len(routes._remembered) <= 1024


async def test_only_the_last_member_unsubscribes_and_only_what_the_server_knows() -> None:
    routes = routes_of()
    one, other = live(routes, "a"), live(routes, "a")
    assert routes.remove(one) is None
    gone = routes.remove(other)
    assert gone is not None
    assert frames.decode_client(gone) == frames.Unsubscribe(subject="a")
    assert routes.remove(other) is None
    third = live(routes, "b", "w")
    routes.away()
    assert routes.remove(third) is None
    assert list(routes.asks()) == []


async def test_after_a_loss_everything_is_asked_for_once() -> None:
    routes = routes_of()
    live(routes, "a")
    live(routes, "a")
    live(routes, "b", "w")
    assert routes.complete()
    assert list(routes.asks()) == []
    routes.away()
    assert not routes.complete()
    wanted = [(frame.subject, frame.queue) for frame in map(asked, routes.asks())]
    assert wanted == [("a", None), ("b", "w")]
    assert routes.complete()
    assert list(routes.asks()) == []


async def test_what_is_closed_while_the_rest_is_asked_for_is_asked_for_no_more() -> None:
    routes = routes_of()
    subscriptions = [live(routes, subject) for subject in ("a", "b", "c")]
    routes.away()
    asks = routes.asks()
    assert asked(next(asks)).subject == "a"
    assert routes.remove(subscriptions[1]) is None, "an `unsubscribe` would come before its `subscribe`"
    assert routes.remove(subscriptions[0]) is not None
    assert [asked(frame).subject for frame in asks] == ["c"]


async def test_an_answer_to_a_subscription_that_is_gone_changes_nothing() -> None:
    routes = routes_of()
    subscription = local("a")
    call = asked(routes.add(subscription)).id or ""
    routes.remove(subscription)
    routes.confirm(call, frames.Subscribed(subject="any"))
    assert not routes.refuse(call, ArtcafeError(Code.forbidden))
    assert len(routes) == 0


async def test_a_first_refusal_is_final_even_when_it_would_pass() -> None:
    routes = routes_of()
    subscription = local("a")
    call = asked(routes.add(subscription)).id or ""
    assert routes.refuse(call, ArtcafeError(Code.rate_limited, retry_after=1))
    with pytest.raises(ArtcafeError):
        await subscription.opened()
    assert len(routes) == 0


async def test_a_refusal_that_passes_says_how_long_to_wait() -> None:
    routes = routes_of()
    live(routes, "a")
    live(routes, "b")
    for wait, told in ((0.25, 0.25), (None, 1.0)):
        routes.away()
        first, second = (asked(frame).id or "" for frame in routes.asks())
        routes.confirm(first, frames.Subscribed(subject="any"))
        routes.refuse(second, ArtcafeError(Code.rate_limited, retry_after=wait))
        assert await routes.settled() == told
        assert [asked(frame).subject for frame in routes.asks()] == ["b"]


def ended(subject: object, **queue: object) -> ArtcafeError:
    return ArtcafeError(Code.forbidden, "No.", details={"subject": subject, **queue})


async def test_a_subscription_that_the_server_names_is_over_and_a_new_one_is_asked_for() -> None:
    routes = routes_of()
    one, other, group, rest = live(routes, "a"), live(routes, "a"), live(routes, "b", "w"), live(routes, "c")
    routes.dispatch(message("a", 1))
    assert routes.end_named(ended("a"))
    assert routes.end_named(ended("b", queue="w"))
    assert [(await anext(each)).data for each in (one, other)] == [1, 1], "what it still holds comes first"
    for each in (one, other, group):
        with pytest.raises(ArtcafeError, match="No"):
            await asyncio.wait_for(anext(each), 5)
    assert len(routes) == 1
    assert [asked(routes.add(local(*new))).subject for new in (("a", None), ("b", "w"))] == ["a", "b"]
    routes.dispatch(message("c"))
    assert await subjects(rest) == ["c"]


async def test_a_server_that_does_not_name_groups_means_the_only_one_of_that_text() -> None:
    routes = routes_of()
    group = live(routes, "b", "w")
    assert routes.end_named(ended("b"))
    with pytest.raises(ArtcafeError, match="No"):
        await asyncio.wait_for(anext(group), 5)


async def test_an_end_that_names_no_subscription_of_this_client_ends_none() -> None:
    routes = routes_of()
    live(routes, "a")
    live(routes, "b", "w")
    none: list[dict[str, object]] = [{}, {"queue": "w"}, {"subject": "c"}, {"subject": ["a"]}]
    none += [{"subject": "tenant.acme.a"}, {"subject": "a", "queue": "w"}]
    none += [{"subject": "b", "queue": queue} for queue in ("v", None)]
    for details in none:
        assert not routes.end_named(ArtcafeError(Code.forbidden, details=details)), details
    assert not routes.end_named(ArtcafeError(Code.forbidden))
    assert len(routes) == 2


async def test_the_end_of_an_earlier_subscription_is_not_that_of_one_not_answered_yet() -> None:
    routes = routes_of()
    routes.remove(live(routes, "a"))
    subscription = local("a")
    call = asked(routes.add(subscription)).id or ""
    assert routes.end_named(ended("a"))
    routes.confirm(call, frames.Subscribed(subject="any"))
    await asyncio.wait_for(subscription.opened(), 5)
    routes.dispatch(message("a"))
    assert await subjects(subscription) == ["a"]


async def test_a_subscription_closed_while_it_comes_back_is_not_left_at_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[frames.ClientFrame] = []
    returned, room = asyncio.Event(), asyncio.Event()
    send = Transport.send

    async def full(connection: Transport, frame: bytes) -> None:
        await send(connection, frame)
        if b'"subscribe"' in frame and returned.is_set():  # It is written, and there is no room for more.
            await room.wait()

    async def first(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm(3)
        peer.lose()

    async def second(peer: Peer) -> None:
        returned.set()
        await peer.log_in()
        while True:
            frame = await peer.next()
            taken.append(frame)
            if isinstance(frame, frames.Subscribe):
                await peer.send(frames.Subscribed(subject=frame.subject, id=frame.id))

    monkeypatch.setattr(Transport, "send", full)
    async with asyncio.timeout(PATIENCE), scripted(first, second) as server, client_of(server) as client:
        opened = [await client.subscribe(subject) for subject in ("a", "b", "c")]
        await eventually(lambda: taken, "the first subscription on the way back")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(opened[1].close())
            tasks.create_task(_set(room))  # What closes had its turn.
        await client.publish("end", None, ack=False)
        await eventually(lambda: isinstance(taken[-1], frames.Publish), "the last frame")
    assert [getattr(frame, "subject", "") for frame in taken] == ["a", "c", "end"]


async def _set(event: asyncio.Event) -> None:
    event.set()


async def test_a_route_that_is_left_hears_until_it_is_removed_and_others_keep_theirs() -> None:
    routes = routes_of()
    new, shared, alone = local("b"), live(routes, "a"), live(routes, "a")
    routes.add(new)
    assert routes.leave(new, "9") is None, "the server has not confirmed it yet"
    assert routes.leave(shared, "9") is None, "another one shares the route"
    routes.remove(shared)
    left = routes.leave(alone, "9")
    assert left is not None
    assert frames.decode_client(left) == frames.Unsubscribe(subject="a", id="9")
    routes.dispatch(message("a", 1))
    assert alone.pending == 1
    assert routes.remove(alone) is None, "the server was told already"
