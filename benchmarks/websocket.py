"""The client's half of RFC 6455, as much as a generator needs, over bytes that somebody else moves."""

import base64
import struct

from benchmarks.payload import Stamp, place_of_number

MASK = b"\x37\xfa\x21\x3d"
"""Masks every frame: a fixed key costs the server as much as a fresh one."""

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_FINAL = 0x80


class HungUp(Exception):
    """The server closed the connection, or said something that is no WebSocket."""


def opening(host: str, path: str, subprotocol: str | None) -> bytes:
    """The upgrade request."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(b'sixteen bytes ok').decode()}",
    ]
    if subprotocol:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
    return "\r\n".join([*lines, "", ""]).encode()


def head_of(opcode: int, size: int) -> bytes:
    """The header of a masked, final frame, the mask included."""
    if size < 126:
        return bytes((_FINAL | opcode, 0x80 | size)) + MASK
    if size < 65536:
        return struct.pack("!BBH", _FINAL | opcode, 0x80 | 126, size) + MASK
    return struct.pack("!BBQ", _FINAL | opcode, 0x80 | 127, size) + MASK


def masked(payload: bytes) -> bytes:
    """The payload under the mask."""
    key = (MASK * (len(payload) // 4 + 1))[: len(payload)]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return number.to_bytes(len(payload), "big")


def frame(opcode: int, payload: bytes) -> bytes:
    """A frame to the server."""
    return head_of(opcode, len(payload)) + masked(payload)


def stamp(opcode: int, payload: bytes) -> Stamp:
    """A frame to the server whose message number changes."""
    head = head_of(opcode, len(payload))
    at = place_of_number(payload)
    turned = at % 4
    return Stamp(head + masked(payload), len(head) + at, (MASK + MASK + MASK)[turned : turned + 8])


def upgraded(data: bytes) -> bytes | None:
    """What follows the server's answer to the upgrade; None while it is not whole. Raises HungUp."""
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None
    if not head.startswith(b"HTTP/1.1 101"):
        raise HungUp(head.split(b"\r\n", 1)[0].decode("latin-1"))
    return rest


def split(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole frames at the start of `data`, as opcode and payload, and what is left. Raises HungUp."""
    frames: list[tuple[int, bytes]] = []
    at, end = 0, len(data)
    while at + 2 <= end:
        first, size = data[at], data[at + 1]
        begin = at + 2
        if size == 126:
            begin = at + 4
            size = (data[at + 2] << 8 | data[at + 3]) if begin <= end else end
        elif size == 127:
            begin = at + 10
            size = int.from_bytes(data[at + 2 : begin], "big") if begin <= end else end
        elif size > 127:
            raise HungUp("a masked frame from the server")
        if begin + size > end:
            break
        if first < _FINAL or first == _FINAL:
            raise HungUp("a fragmented message: no peer sends one here")
        if first & 0x0F == CLOSE:
            raise HungUp(f"closed with {data[begin : begin + size]!r}")
        frames.append((first & 0x0F, data[begin : begin + size]))
        at = begin + size
    return frames, data[at:]
