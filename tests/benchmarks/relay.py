"""A relay for the generator's tests: MQTT over TCP, faithful or faulty, in a thread of its own."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.dialect import NOTHING
from benchmarks.peers.mosquitto import MqttDialect

Fault = Callable[[int, int, bytes], list[bytes]]
"""What becomes of the packet with this number on its way to the subscriber with that one."""


def faithful(number: int, subscriber: int, packet: bytes) -> list[bytes]:
    """As it is, once."""
    return [packet]


@contextmanager
def relay(fault: Fault = faithful) -> Iterator[tuple[str, int]]:
    """Serve one subject to everybody who subscribes; gives the address. Ends with its clients."""
    listener = socket.create_server(("127.0.0.1", 0))
    serving = threading.Thread(target=_serve, args=(listener, fault))
    serving.start()
    try:
        yield listener.getsockname()
    finally:
        # Wakes the accept; closing the socket under it would not.
        listener.shutdown(socket.SHUT_RDWR)
        serving.join()
        listener.close()


def _serve(listener: socket.socket, fault: Fault) -> None:
    room = _Room(fault)
    with contextlib.ExitStack() as stack:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            talking = threading.Thread(target=room.talk, args=(client,))
            talking.start()
            stack.callback(talking.join)


class _Room:
    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._lock = threading.Lock()
        self._members: list[socket.socket] = []
        self._number = 0

    def talk(self, client: socket.socket) -> None:
        """Answer one client until it hangs up."""
        dialect, rest = MqttDialect(), NOTHING
        with contextlib.suppress(OSError), contextlib.closing(client):
            while data := client.recv(65_536):
                arrived = dialect.split(rest, data)
                rest = arrived.rest
                for message in arrived.messages:
                    self._obey(client, message)

    def _obey(self, client: socket.socket, message: bytes) -> None:
        with self._lock:
            if message[0] == 0x10:
                client.sendall(b"\x20\x02\x00\x00")
            elif message[0] == 0x82:
                self._members.append(client)
                client.sendall(b"\x90\x03\x00\x01\x00")
            else:
                number, self._number = self._number, self._number + 1
                for subscriber, member in enumerate(self._members):
                    member.sendall(b"".join(self._fault(number, subscriber, _packet(message))))


def _packet(message: bytes) -> bytes:
    """A PUBLISH of 256 to 16,383 bytes, its length put back."""
    size = len(message) - 1
    return message[:1] + bytes((size & 0x7F | 0x80, size >> 7)) + message[1:]
