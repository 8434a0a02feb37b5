"""The change from copies of messages by queue groups to those by a subscription without a queue, and back."""

from collections.abc import Sequence

from artcafe.server.domain.message_id import number_of
from artcafe.wire.subjects import matches


class Cutover:
    """Decides which copy of a message one subscriber is given while a subscription without a queue begins or
    ends beside its queue groups, so that each message comes once.

    Both kinds of copies come by connections of their own, without an order between them. Within each kind the
    messages of one process come in the order of their numbers. So a number for each process is enough:
    messages up to it come by the older kind, later ones by the newer. It is the highest that either kind
    has brought when `cut` is called, which is when the link has brought what it was sent before
    (ports.Link.settle). Until then all come by the older kind, which has been there all the time.

    Messages without a number, which this platform does not publish, are delivered by both after the cut: none
    is lost.
    """

    __slots__ = ("_before", "_groups", "_highest", "_pattern", "closing", "is_cut", "listening")

    def __init__(
        self, pattern: str, groups: Sequence[str], *, closing: bool, before: "Cutover | None" = None
    ) -> None:
        """`groups` are the patterns of the queue groups; `closing` says that these are the newer kind.
        `before` is the subscription's last cutover, if that has not ended."""
        self._pattern = pattern
        self._groups = groups
        self._highest: dict[str, int] = {}
        self._before = before
        self.is_cut = False
        self.closing = closing
        self.listening = closing
        """Whether the subscription, which the client does not have any more, is still needed on the bus."""

    def concerns(self, subject: str) -> bool:
        """Whether messages on a subject may come by both kinds."""
        return matches(self._pattern, subject) and any(matches(group, subject) for group in self._groups)

    def cut(self) -> None:
        """From here on the newer kind brings what is later than anything that came so far."""
        self.is_cut = True

    def by_plain(self, message_id: str) -> bool | None:
        """Whether a message, of which a copy came, is to be delivered by the subscription without a queue and
        not by a group; None for both."""
        number = number_of(message_id)
        if number is None:
            return None if self.is_cut else self.closing
        process, count = number
        highest = self._highest.get(process, 0)
        if self.is_cut:
            by_plain = (count > highest) != self.closing
        else:
            by_plain = self.closing
            if count > highest:
                self._highest[process] = count
        return by_plain and (self._before is None or self._before.by_plain(message_id))
