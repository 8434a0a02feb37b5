"""The load: connections, lanes of numbered messages through them, and the check of all that comes back.

One thread, epoll, plain sockets: the least that Python can do per message. What many subscribers get
alike is compared as bytes with what the first one got, and only that is read.
"""

import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.dialect import NOTHING, Dialect, Rest, Talk
from benchmarks.payload import Lane, Stamp, WrongDelivery
from benchmarks.websocket import HungUp

_READ = 65536
PATIENCE = 20.0
"""Seconds without any delivery after which messages count as lost."""

_LINGER = 0.05
"""Seconds for what comes behind the last message."""

_AT_ONCE = 32
"""Logins under way at a time."""


class Link:
    """One connection. `position` is the number of the message it gets next."""

    __slots__ = ("channel", "open", "out", "position", "rest", "socket", "talk")

    def __init__(self, connected: socket.socket, talk: Talk) -> None:
        self.socket = connected
        self.talk: Talk | None = talk
        self.open = False
        self.rest: Rest = NOTHING
        self.out = b""
        self.channel: Channel | None = None
        self.position = 0


@dataclass(slots=True)
class _Seen:
    """What the last bytes that were read held: others at the same place get the same."""

    position: int
    rest: Rest
    data: bytes
    count: int
    after: Rest


@dataclass(slots=True)
class Channel:
    """One lane: a publisher, its subscribers, and what is on its way."""

    subject: str
    publisher: Link
    receivers: int
    lane: Lane
    stamp: Stamp
    number: int = 0
    waiting: int = 0
    seen: _Seen | None = None
    due: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Window:
    """What one stretch of load did. `latencies` are in seconds and empty unless they were asked for."""

    delivered: int
    seconds: float
    cpu: float
    latencies: list[float]


class Generator:
    """Clients of one server."""

    def __init__(self, dialect: Dialect, address: tuple[str, int], patience: float = PATIENCE) -> None:
        self._dialect = dialect
        self._address = address
        self._patience = patience
        self._poll = select.epoll()
        self._links: dict[int, Link] = {}
        self._channels: list[Channel] = []
        self._latencies: list[float] | None = None
        self._delivered = 0
        self._clients = 0
        self._free: list[Channel] = []
        self._cpu = self._began = self._heard = 0.0

    def join(self, lanes: int, receivers: int, size: int, first: int = 0) -> None:
        """Open `lanes` publishers with `receivers` subscribers each; `first` is the first lane's number.

        Where publishers are answered, each is its own and only receiver.
        """
        publishers = self._open([None] * lanes)
        subjects = [f"bench.c{first + index}" for index in range(lanes)]
        wanted = [subject for subject in subjects for _ in range(receivers)]
        links = publishers if self._dialect.echoes else self._open(wanted)
        for index, (subject, publisher) in enumerate(zip(subjects, publishers, strict=True)):
            lane = Lane(f"c{first + index}", size)
            channel = Channel(subject, publisher, receivers, lane, self._stamp(subject, lane))
            for link in links[index * receivers : (index + 1) * receivers]:
                link.channel = channel
            self._channels.append(channel)

    def idle(self, count: int) -> Window:
        """Open so many clients that only are there."""
        cpu, began = time.process_time(), time.perf_counter()
        self._open([None] * count)
        return Window(0, time.perf_counter() - began, time.process_time() - cpu, [])

    def resize(self, size: int) -> None:
        """From here on messages have `size` bytes."""
        for channel in self._channels:
            if channel.lane.size != size:
                channel.lane = Lane(channel.lane.name, size)
                channel.stamp = self._stamp(channel.subject, channel.lane)
                channel.seen = None

    def closed(self, seconds: float, batch: int) -> Window:
        """Each lane sends `batch` messages at once, and the next when everybody has all of them.

        That is done once at least.
        """
        self._start()
        self._free = list(self._channels)
        while self._free or self._waiting():
            free, self._free = self._free, []
            for channel in free:
                self._publish(channel, batch)
            self._listen(1.0)
            if time.perf_counter() > self._began + seconds:
                self._free.clear()
        return self._window()

    def paced(self, seconds: float, rate: float, batch: int = 1) -> Window:
        """Send `rate` bursts of `batch` a second, evenly over the lanes and whatever comes back.

        Measures latency. It counts from when a message was due, so a server that keeps others waiting is
        not spared.
        """
        self._start()
        self._latencies = []
        sent, count = 0, max(1, round(rate * seconds))
        while sent < count or self._waiting():
            due = self._began + sent / rate
            while sent < count and due <= time.perf_counter():
                channel = self._channels[sent % len(self._channels)]
                channel.due.update(dict.fromkeys(range(channel.number, channel.number + batch), due))
                self._publish(channel, batch)
                sent += 1
                due = self._began + sent / rate
            self._listen(max(0.0, due - time.perf_counter()) if sent < count else 1.0)
        return self._window()

    def churn(self, seconds: float, rate: float) -> Window:
        """Let `rate` clients a second come, log in, subscribe and leave again; `delivered` are the logins.

        Fewer come when the server is slower than that. Raises HungUp when one does not get in.
        """
        self._start()
        coming: set[Link] = set()
        begun, count = 0, max(1, round(rate * seconds))
        while begun < count or coming:
            now = time.perf_counter() - self._began
            while begun < count and begun <= now * rate and len(coming) < _AT_ONCE:
                coming.add(self._dial(f"bench.churn{begun}"))
                begun += 1
            if now > seconds:
                count = begun
            due = begun / rate - now if begun < count and len(coming) < _AT_ONCE else 0.1
            self._work_off(self._poll.poll(min(max(0.0, due), 0.1)))
            for link in [link for link in coming if link.talk is None]:
                coming.remove(link)
                self._drop(link)
                self._delivered, self._heard = self._delivered + 1, time.perf_counter()
            if coming and time.perf_counter() - self._heard > self._patience:
                raise HungUp(f"{len(coming)} clients wait for their login")
        return self._window()

    def serve(self, other: int) -> None:
        """Answer heartbeats until `other`, a file descriptor, can be read."""
        self._poll.register(other, select.EPOLLIN)
        try:
            while True:
                events = self._poll.poll()
                if any(descriptor == other for descriptor, _ in events):
                    return
                self._work_off(events)
        finally:
            self._poll.unregister(other)

    def leave(self) -> None:
        """Hang up all clients, after a last look. Raises WrongDelivery when a message came too many."""
        self._work_off(self._poll.poll(_LINGER))
        self._hang_up()

    def close(self) -> None:
        """Hang up, for good."""
        self._hang_up()
        self._poll.close()

    def _drop(self, link: Link) -> None:
        del self._links[link.socket.fileno()]
        link.socket.close()

    def _hang_up(self) -> None:
        for link in self._links.values():
            link.socket.close()
        self._links.clear()
        self._channels.clear()

    def _stamp(self, subject: str, lane: Lane) -> Stamp:
        return self._dialect.publish(subject, lane.body(0))

    # Getting in.

    def _open(self, subjects: Sequence[str | None]) -> list[Link]:
        """A client for each subject, in this order, some of them at a time."""
        opened: list[Link] = []
        coming: set[Link] = set()
        deadline = time.perf_counter() + self._patience
        while coming or len(opened) < len(subjects):
            while len(coming) < _AT_ONCE and len(opened) < len(subjects):
                opened.append(self._dial(subjects[len(opened)]))
                coming.add(opened[-1])
            self._work_off(self._poll.poll(1.0 if any(link.talk for link in coming) else 0.0))
            there = [link for link in coming if link.talk is None]
            if there:
                coming.difference_update(there)
                deadline = time.perf_counter() + self._patience
            elif time.perf_counter() > deadline:
                raise HungUp(f"{len(coming)} clients wait for their login")
        return opened

    def _dial(self, subject: str | None) -> Link:
        connected = socket.create_connection(self._address)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setblocking(False)
        client, self._clients = self._clients, self._clients + 1
        link = Link(connected, self._dialect.join(client, subject))
        self._links[connected.fileno()] = link
        self._poll.register(connected, select.EPOLLIN)
        opening = self._dialect.opening(client)
        if opening:
            self._send(link, opening)
        else:
            self._begin(link)
        return link

    def _greet(self, link: Link, data: bytes) -> None:
        """Bytes of the opening's answer; the login begins behind it."""
        left = self._dialect.opened(link.rest[0] + data)
        if left is None:
            link.rest = (link.rest[0] + data, b"")
            return
        self._begin(link)
        if left:
            self._take(link, left)

    def _begin(self, link: Link) -> None:
        link.open, link.rest = True, NOTHING
        self._advance(link, None)

    def _advance(self, link: Link, message: bytes | None) -> None:
        assert link.talk is not None
        try:
            said = next(link.talk) if message is None else link.talk.send(message)
        except StopIteration:
            link.talk = None
        else:
            self._send(link, said)

    # Work.

    def _start(self) -> None:
        self._delivered = 0
        self._cpu = time.process_time()
        self._began = self._heard = time.perf_counter()

    def _listen(self, seconds: float) -> None:
        """Work off what comes next. Raises WrongDelivery when nothing came for too long."""
        before = self._delivered
        self._work_off(self._poll.poll(min(seconds, self._patience)))
        now = time.perf_counter()
        if self._delivered != before:
            self._heard = now
        elif now - self._heard > self._patience:
            raise WrongDelivery(f"{sum(channel.waiting for channel in self._channels)} messages were lost")

    def _waiting(self) -> bool:
        return any(channel.waiting for channel in self._channels)

    def _window(self) -> Window:
        """What was done since the start, up to the last delivery."""
        latencies, self._latencies = self._latencies or [], None
        for channel in self._channels:
            channel.due.clear()
        seconds, cpu = self._heard - self._began, time.process_time() - self._cpu
        return Window(self._delivered, seconds, cpu, latencies)

    def _publish(self, channel: Channel, count: int) -> None:
        number, stamp = channel.number, channel.stamp.with_number
        channel.number += count
        channel.waiting += count * channel.receivers
        if count == 1:
            self._send(channel.publisher, stamp(number))
        else:
            self._send(channel.publisher, b"".join([stamp(number + each) for each in range(count)]))

    def _work_off(self, events: list[tuple[int, int]]) -> None:
        for descriptor, event in events:
            link = self._links[descriptor]
            if event & select.EPOLLOUT:
                out, link.out = link.out, b""
                self._poll.modify(descriptor, select.EPOLLIN)
                self._send(link, out)
            if event & ~select.EPOLLOUT:
                data = link.socket.recv(_READ)
                if not data:
                    raise HungUp("the server closed a connection")
                if link.open:
                    self._take(link, data)
                else:
                    self._greet(link, data)

    def _take(self, link: Link, data: bytes) -> None:
        channel = link.channel
        if channel is None or link.talk is not None:
            self._take_greeting(link, data)
            return
        seen = channel.seen
        if (
            seen is not None
            and seen.position == link.position
            and seen.data == data
            and seen.rest == link.rest
        ):
            count = seen.count
            link.rest = seen.after
        else:
            arrived = self._dialect.split(link.rest, data)
            if arrived.answer:
                self._send(link, arrived.answer)
            count = self._check(channel, link.position, arrived.messages)
            if count and channel.receivers > 1 and not arrived.answer:
                channel.seen = _Seen(link.position, link.rest, data, count, arrived.rest)
            link.rest = arrived.rest
        if self._latencies is not None:
            now = time.perf_counter()
            for number in range(link.position, link.position + count):
                self._latencies.append(now - channel.due[number])
        link.position += count
        self._delivered += count
        if count:
            channel.waiting -= count
            if channel.waiting == 0:
                self._free.append(channel)

    def _check(self, channel: Channel, position: int, messages: list[bytes]) -> int:
        """How many of these are deliveries. Raises WrongDelivery unless they are the next ones."""
        count = 0
        for message in messages:
            body = self._dialect.body(message)
            if body is None:
                continue
            if position + count >= channel.number:
                raise WrongDelivery(f"lane {channel.lane.name}: a message came twice, or before it was sent")
            if not self._dialect.echoes:
                channel.lane.check(body, position + count)
            count += 1
        return count

    def _take_greeting(self, link: Link, data: bytes) -> None:
        arrived = self._dialect.split(link.rest, data)
        link.rest = arrived.rest
        if arrived.answer:
            self._send(link, arrived.answer)
        for message in arrived.messages:
            if link.talk is not None:
                self._advance(link, message)
            elif self._dialect.body(message) is not None:
                raise WrongDelivery("a message came to somebody who wants none")

    def _send(self, link: Link, data: bytes) -> None:
        if link.out:
            link.out += data
            return
        try:
            sent = link.socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            link.out = data[sent:]
            self._poll.modify(link.socket.fileno(), select.EPOLLIN | select.EPOLLOUT)
