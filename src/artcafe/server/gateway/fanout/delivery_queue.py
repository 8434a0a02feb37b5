"""The deliveries of one tenant: what came is kept until the end of the turn, then given to its members."""

import logging

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.dialects.rendering import Delivery
from artcafe.server.gateway.fanout.subscriber import Keeper, Line, Member, Topic
from artcafe.server.gateway.fanout.topics import Topics
from artcafe.server.gateway.websocket.writer import Outboxes
from artcafe.server.ports.bus import Link

LOG = logging.getLogger("artcafe.gateway")


class Run:
    """What came on one line with nothing else between, and how far it is delivered."""

    __slots__ = ("delivery", "line", "members", "number", "position")

    def __init__(self, line: Line, delivery: Delivery, number: int) -> None:
        self.line = line
        self.delivery = delivery
        self.number = number
        self.members: tuple[Member, ...] | None = None
        self.position = 0


class Runs(Keeper):
    """Runs in the order in which they came.

    What is delivered in one turn of the event loop is bounded by `budget`. While more waits, nothing is
    read from the bus and publishers here have no room, so what waits is bounded by what is read and
    published in one turn.
    """

    def __init__(self, tenant: TenantId, link: Link, outboxes: Outboxes, topics: Topics, budget: int) -> None:
        self._tenant = tenant
        self._link = link
        self._outboxes = outboxes
        self._topics = topics
        self._budget = budget
        self.waiting: list[Run] = []
        # The last of them, while more may be added: its line and its payloads.
        self._last: Line | None = None
        self._latest: list[bytes] = []
        self._number = 0
        self.behind = False
        """Whether deliveries were left for the next turn."""

    def keep(self, line: Line, payload: bytes) -> None:
        """Keep a message for the end of the turn: what is alike is delivered at once."""
        if line is self._last:
            self._latest.append(payload)
            return
        if not self.waiting:
            self._outboxes.first(self._deliver)
        self._last, self._latest = line, [payload]
        self._number += 1
        self.waiting.append(Run(line, Delivery(self._latest), self._number))

    def _deliver(self) -> None:
        """Deliver what waits, as far as the budget reaches."""
        runs, count, done, left = self.waiting, len(self.waiting), 0, self._budget
        self._last, self._latest = None, []
        while done < count:
            run = runs[done]
            try:
                left = self._advance(run, left)
            except Exception:  # Whoever comes after it is delivered to all the same.
                LOG.exception("tenant %s: fault in a delivery", self._tenant)
                if run.members is not None:
                    run.members[run.position - 1].failed()
            if run.members is None or run.position >= len(run.members):
                done += 1
            elif left <= 0:
                break
        del runs[:done]
        if runs:
            self._outboxes.first(self._deliver)
        if done < count:
            self.behind = True
            self._link.pause(True)
        elif self.behind:
            self.behind = False
            self._link.pause(False)

    def _advance(self, run: Run, left: int) -> int:
        """Deliver a run to further members, for so many units of work: how many are left."""
        if run.members is None:
            run.members = self._topics.members(run.line)
        members = run.members
        while left > 0 and run.position < len(members):
            member = members[run.position]
            run.position += 1
            if member.upto < run.number:
                member.upto = run.number
                left -= member.take(run.line, run.delivery)
        return left

    def catch_up(self, member: Member) -> None:
        """Deliver now what waits for a member."""
        self._last, self._latest = None, []
        for run in tuple(self.waiting):
            if member.upto < run.number:
                member.upto = run.number
                self._topics.update(run.line)
                try:
                    member.take(run.line, run.delivery)
                except Exception:
                    LOG.exception("tenant %s: fault in a delivery", self._tenant)
                    member.failed()

    def hand_on(self, topic: Topic, member: Member, other: Topic) -> None:
        """Give what waits for a member of a group to another one: in its place, unless that one already had
        what came later. So copies of a message to one member by several groups stay beside each other."""
        heir = next(iter(other.members))
        for run in [run for run in self.waiting if run.line.group is topic and member.upto < run.number]:
            line = self._topics.line(self, other, run.line.bus_subject)
            if heir.upto < run.number:
                self._turn(run, line)
            else:
                for payload in run.delivery.payloads:
                    self.keep(line, payload)

    def _turn(self, run: Run, line: Line) -> None:
        run.line, run.members, run.position = line, None, 0
        self._last, self._latest = None, []
