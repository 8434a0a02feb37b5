"""Channels over REST: what they are, what they store, and who shares their messages."""

from typing import Any

from artcafe.client.http import Http, HttpRequest, Json, path_of


class ChannelCalls:
    """The calls of Rest about channels."""

    _http: Http

    async def channels(self, *, q: str | None = None, order: str | None = None) -> list[Json]:
        """Every channel, or those with `q` in the name or id; `order` as for agents."""
        return await self._http.pages("channels", path_of("channels"), {"q": q, "order": order})

    async def create_channel(self, *, idempotency_key: str | None = None, **fields: Any) -> Json:
        """Make a channel: name, id?, description?, subject?, publishers?, …; gives the channel."""
        request = HttpRequest("POST", path_of("channels"), fields, idempotency_key=idempotency_key)
        return await self._http.record("channel", request)

    async def channel(self, channel: str) -> Json:
        """One channel. Raises not_found."""
        return await self._http.record("channel", HttpRequest("GET", path_of("channels", channel)))

    async def change_channel(self, channel: str, *, if_match: str | None = None, **fields: Any) -> Json:
        """Change the fields named, leave the others; None clears a field that may be empty."""
        return await self._http.record(
            "channel", HttpRequest("PUT", path_of("channels", channel), fields, if_match=if_match)
        )

    async def delete_channel(self, channel: str, *, if_match: str | None = None) -> None:
        """Delete a channel. Raises not_found."""
        await self._http.ask(HttpRequest("DELETE", path_of("channels", channel), if_match=if_match))

    async def publish(
        self, channel: str, data: Json, subject: str | None = None, *, as_system: bool = False
    ) -> Json:
        """Send a JSON object into a channel; gives message_id and timestamp when the bus has it.

        `subject` names one of the channel's subjects, where it has several. With `as_system` the sender
        is the platform, `sys`.
        """
        query = {"subject": subject, "as": "system" if as_system else None}
        return await self._http.answer(
            HttpRequest("POST", path_of("channels", channel, "messages"), data, query)
        )

    async def history(
        self,
        channel: str,
        *,
        after: int | None = None,
        before: int | None = None,
        since: str | None = None,
        subject: str | None = None,
        sender: str | None = None,
        limit: int | None = None,
    ) -> Json:
        """A page of what a durable channel stores, in its order: `messages`, and `after` and `before` for the
        pages beside it. Without any of the three it is the last page; `since` as in `Client.subscribe`."""
        query = {
            "after": _text(after),
            "before": _text(before),
            "since": since,
            "subject": subject,
            "from": sender,
            "limit": _text(limit),
        }
        return await self._http.answer(
            HttpRequest("GET", path_of("channels", channel, "messages"), query=query)
        )

    async def durable_subscriptions(self, channel: str) -> list[Json]:
        """The durable subscriptions of a durable channel, by name, with what waits in each."""
        answer = await self._http.answer(HttpRequest("GET", path_of("channels", channel, "subscriptions")))
        found: list[Json] = answer["subscriptions"]
        return found

    async def delete_durable_subscription(self, channel: str, name: str) -> None:
        """Delete a durable subscription. Raises not_found."""
        await self._http.ask(HttpRequest("DELETE", path_of("channels", channel, "subscriptions", name)))

    async def dead_letters(
        self,
        channel: str,
        *,
        subscription: str | None = None,
        after: int | None = None,
        limit: int | None = None,
    ) -> Json:
        """A page of a channel's `dead_letters`, of one durable subscription or of all, and `after` for the
        next one."""
        query = {"subscription": subscription, "after": _text(after), "limit": _text(limit)}
        return await self._http.answer(
            HttpRequest("GET", path_of("channels", channel, "dead-letters"), query=query)
        )

    async def retry_dead_letter(self, channel: str, seq: int) -> Json:
        """Store the message of a dead letter again, at `seq` of `epoch`. Raises not_found."""
        path = path_of("channels", channel, "dead-letters", str(seq), "retry")
        return await self._http.answer(HttpRequest("POST", path))

    async def remove_dead_letter(self, channel: str, seq: int) -> None:
        """Remove one dead letter. Raises not_found."""
        await self._http.ask(HttpRequest("DELETE", path_of("channels", channel, "dead-letters", str(seq))))

    async def purge_dead_letters(self, channel: str, *, subscription: str | None = None) -> int:
        """Remove the dead letters of a channel, or of one durable subscription; how many."""
        path = path_of("channels", channel, "dead-letters")
        answer = await self._http.answer(HttpRequest("DELETE", path, query={"subscription": subscription}))
        removed: int = answer["removed"]
        return removed


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
