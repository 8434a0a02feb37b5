"""A subscription delivers in a turn of its own what its link has for it, unless somebody takes it at once."""

from functools import partial

from artcafe.server.bus.nats.subscription import NatsSubscription
from tests.kit.inboxes import Inbox
from tests.kit.turns import turns


class Keeper:
    """A link that counts what it is to forget."""

    def __init__(self) -> None:
        self.forgotten: list[NatsSubscription] = []
        self.drained: list[NatsSubscription] = []

    def forget(self, subscription: NatsSubscription) -> None:
        self.forgotten.append(subscription)

    async def drain(self, subscription: NatsSubscription) -> None:
        self.drained.append(subscription)


async def test_what_is_its_links_own_comes_later_and_not_after_it_was_closed() -> None:
    keeper, inbox = Keeper(), Inbox()
    subscription = NatsSubscription(keeper, "m.>", None, inbox, None)
    take = subscription.receiver("m.a.x")
    take(b"1")
    assert inbox.got == []
    await turns()
    assert inbox.got == ["1"]
    take(b"2")
    await subscription.close()
    await subscription.close()
    await turns()
    assert inbox.got == ["1"]
    assert keeper.forgotten == [subscription]


async def test_one_of_a_group_is_drained_once() -> None:
    keeper = Keeper()
    subscription = NatsSubscription(keeper, "m.>", "q", Inbox(), None)
    await subscription.close()
    await subscription.close()
    assert (keeper.drained, keeper.forgotten, subscription.open) == ([subscription], [], False)


async def test_who_takes_it_at_once_gets_it_at_once() -> None:
    later, at_once = Inbox(), Inbox()
    own = partial(partial, at_once)
    NatsSubscription(Keeper(), "m.>", None, later, own).receiver("m.a.x")(b"1")
    assert (later.got, at_once.got) == ([], ["1"])
