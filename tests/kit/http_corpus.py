"""Raw requests, legal and broken, and what becomes of each (RFC 9110, RFC 9112).

Each is sent on a connection of its own, followed by another request that must get its own answer unless
the connection ended. Where a body may be read as a request, it is SMUGGLED, which must never be carried out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

PATH = b"/api/v1/echo"
SMUGGLED = b"GET /api/v1/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
KEY = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
WEBSOCKET = b"Upgrade: websocket\r\nConnection: Upgrade\r\n" + KEY


@dataclass(frozen=True)
class Case:
    """One request: its bytes, the status it gets, and, with 200, what the application must have seen."""

    name: str
    raw: bytes = field(repr=False)
    status: int = 400
    method: str = "GET"
    body: bytes = b""
    query: str = ""
    goes_on: bool = True
    """Whether the connection stays open after a 200."""


def request(
    *lines: bytes,
    body: bytes = b"",
    method: bytes = b"GET",
    target: bytes = PATH,
    version: bytes = b"HTTP/1.1",
) -> bytes:
    """A request with these header lines after its Host."""
    head = [method + b" " + target + b" " + version, b"Host: localhost", *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def post(*lines: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    """A POST with these header lines."""
    return request(*lines, body=body, method=b"POST", version=version)


def counted(*lines: bytes, body: bytes = SMUGGLED) -> bytes:
    """A POST that says how long its body is."""
    return post(*lines, b"Content-Length: %d" % len(body), body=body)


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    """One chunk."""
    return b"%x%b\r\n%b\r\n" % (len(data), extension, data)


def chunked(*lines: bytes, body: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    """A POST in chunks, which are the caller's."""
    return post(*lines, b"Transfer-Encoding: chunked", body=body, version=version)


IN_CHUNKS = chunk(SMUGGLED) + b"0\r\n\r\n"
N = b"%d" % len(SMUGGLED)


def _legal() -> Iterator[Case]:
    yield Case("a plain GET", request(), 200)
    yield Case("HEAD", request(method=b"HEAD"), 200, "HEAD")
    yield Case("a query", request(target=PATH + b"?a=1&b=%20"), 200, query="a=1&b=%20")
    yield Case("a GET with a body", request(b"Content-Length: " + N, body=SMUGGLED), 200, body=SMUGGLED)
    yield Case("an empty body", post(b"Content-Length: 0"), 200, "POST")
    yield Case("zeros before the length", post(b"Content-Length: 003", body=b"abc"), 200, "POST", b"abc")
    yield Case("no length and no body", post(), 200, "POST")
    yield Case("a counted body", counted(), 200, "POST", SMUGGLED)
    yield Case("a chunked body", chunked(body=IN_CHUNKS), 200, "POST", SMUGGLED)
    yield Case(
        "CHUNKED in capitals", post(b"TRANSFER-ENCODING: CHUNKED", body=IN_CHUNKS), 200, "POST", SMUGGLED
    )
    one_by_one = b"".join(chunk(bytes([byte])) for byte in SMUGGLED) + b"0\r\n\r\n"
    yield Case("a byte in each chunk", chunked(body=one_by_one), 200, "POST", SMUGGLED)
    yield Case(
        "a chunk of empty lines", chunked(body=chunk(b"\r\n" * 40) + b"0\r\n\r\n"), 200, "POST", b"\r\n" * 40
    )
    yield Case("an empty chunked body", chunked(body=b"0\r\n\r\n"), 200, "POST")
    yield Case(
        "zeros before a chunk's size", chunked(body=b"0003\r\nabc\r\n000\r\n\r\n"), 200, "POST", b"abc"
    )
    yield Case(
        "capitals in a chunk's size",
        chunked(body=b"A\r\n0123456789\r\n0\r\n\r\n"),
        200,
        "POST",
        b"0123456789",
    )
    yield Case(
        "a chunk's extension", chunked(body=chunk(b"abc", b";a=b") + b"0;c\r\n\r\n"), 200, "POST", b"abc"
    )
    yield Case(
        "a quoted extension", chunked(body=chunk(b"abc", b';a="b;c"') + b"0\r\n\r\n"), 200, "POST", b"abc"
    )
    trailer = b"0\r\nX-Trailer: 1\r\nAuthorization: Bearer of-a-trailer\r\n\r\n"
    yield Case("trailers", chunked(body=chunk(b"abc") + trailer), 200, "POST", b"abc")
    yield Case("an empty line before it", b"\r\n" + request(), 200)
    yield Case("no value", request(b"X-Empty:"), 200)
    yield Case("tabs around a value", request(b"X-Tabs:\t1\t"), 200)
    yield Case("bytes beyond ASCII in a value", request(b"X-Bytes: \xc3\xa4\xff"), 200)
    yield Case("every character of a token", request(b"!#$%&'*+.^_`|~0aZ-: 1"), 200)
    yield Case("a host with a port", request().replace(b"localhost", b"localhost:8443"), 200)
    yield Case("an absolute target", request(target=b"http://localhost" + PATH), 200)
    yield Case("Connection: keep-alive", request(b"Connection: keep-alive"), 200)
    yield Case("Connection: close", request(b"Connection: close"), 200, goes_on=False)
    yield Case("close among others", request(b"Connection: keep-alive, close"), 200, goes_on=False)
    yield Case("HTTP/1.0", request(version=b"HTTP/1.0"), 200, goes_on=False)
    old = b"POST %b HTTP/1.0\r\nHost: localhost\r\nContent-Length: %b\r\n\r\n" % (PATH, N)
    yield Case("a body over HTTP/1.0", old + SMUGGLED, 200, "POST", SMUGGLED, goes_on=False)
    yield Case("Expect with its body", counted(b"Expect: 100-continue", body=b"abc"), 200, "POST", b"abc")
    yield Case("Expect in chunks", chunked(b"Expect: 100-continue", body=IN_CHUNKS), 200, "POST", SMUGGLED)


def _offers() -> Iterator[Case]:
    """An Upgrade that is not WebSocket is ignored, whatever it says (RFC 9110 section 7.8)."""
    offers = {
        "h2c": [
            b"Upgrade: h2c",
            b"Connection: Upgrade, HTTP2-Settings",
            b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
        ],
        "h2c without Connection": [b"Upgrade: h2c"],
        "TLS/1.0": [b"Upgrade: TLS/1.0", b"Connection: Upgrade"],
        "several": [b"Upgrade: h2c, TLS/1.3, IRC/6.9", b"Connection: upgrade"],
        "nothing": [b"Upgrade:", b"Connection: Upgrade"],
        "nonsense": [b"uPgRaDe: \xff websocket2", b"cOnNeCtIoN: keep-alive, uPgRaDe"],
        "two lines": [b"Upgrade: h2c", b"Upgrade: TLS/1.2", b"Connection: Upgrade"],
        "a websocket that Connection does not name": [b"Upgrade: websocket"],
    }
    for name, lines in offers.items():
        yield Case(f"GET offers {name}", request(*lines), 200)
        yield Case(f"a counted body offers {name}", counted(*lines), 200, "POST", SMUGGLED)
        yield Case(f"a chunked body offers {name}", chunked(*lines, body=IN_CHUNKS), 200, "POST", SMUGGLED)
        padded = b"\r\n" * 300 + SMUGGLED
        yield Case(f"padding offers {name}", counted(*lines, body=padded), 200, "POST", padded)
    old = request(*WEBSOCKET.rstrip().split(b"\r\n"), version=b"HTTP/1.0")
    yield Case("a WebSocket over HTTP/1.0", old, 200, goes_on=False)


def _websockets() -> Iterator[Case]:
    """A handshake with a body, or by another method, is refused, and what follows is no request."""
    lines = WEBSOCKET.rstrip().split(b"\r\n")
    yield Case("a WebSocket by POST", counted(*lines), 405)
    yield Case("a WebSocket by POST in chunks", chunked(*lines, body=IN_CHUNKS), 405)
    yield Case("a WebSocket by PUT", request(*lines, method=b"PUT"), 405)
    yield Case("a WebSocket with a body", request(*lines, b"Content-Length: " + N, body=SMUGGLED))
    yield Case("a WebSocket in chunks", request(*lines, b"Transfer-Encoding: chunked", body=IN_CHUNKS))
    yield Case("a WebSocket of version 8", request(*[x.replace(b"13", b"8") for x in lines]), 426)
    yield Case("a WebSocket without a key", request(*lines[:-1]))
    yield Case("a WebSocket offered among others", counted(b"Upgrade: h2c, websocket", *lines[1:]), 405)
    no_host = b"GET %b HTTP/1.1\r\n" % PATH + WEBSOCKET + b"\r\n"
    yield Case("a WebSocket without a Host", no_host)


def _lengths() -> Iterator[Case]:
    """A body whose length is open to interpretation."""
    both = post(b"Content-Length: 4", b"Transfer-Encoding: chunked", body=IN_CHUNKS)
    yield Case("Content-Length and chunked", both)
    yield Case(
        "chunked and Content-Length",
        post(b"Transfer-Encoding: chunked", b"Content-Length: 4", body=IN_CHUNKS),
    )
    yield Case(
        "chunked and a length of zero",
        post(b"Transfer-Encoding: chunked", b"Content-Length: 0", body=IN_CHUNKS),
    )
    yield Case("two lengths", post(b"Content-Length: 0", b"Content-Length: " + N, body=SMUGGLED))
    yield Case("the same length twice", post(b"Content-Length: " + N, b"Content-Length: " + N, body=SMUGGLED))
    values = {
        "negative": b"-1",
        "signed": b"+3",
        "hexadecimal": b"0x3",
        "a fraction": b"3.0",
        "with an exponent": b"3e0",
        "empty": b"",
        "a list": b"3, 3",
        "a list of two": b"0,3",
        "two words": b"0 3",
        "words": b"three",
        "beyond 64 bits": b"18446744073709551616",
        "of 400 digits": b"9" * 400,
        "quoted": b'"3"',
        "with a vertical tab": b"\x0b3",
        "with a NUL": b"3\x00",
        "in Arabic digits": "٣".encode(),
        "with an underscore": b"1_0",
    }
    for name, value in values.items():
        yield Case(f"a length that is {name}", post(b"Content-Length: " + value, body=SMUGGLED))
    codings = {
        "gzip": b"gzip",
        "gzip and chunked": b"gzip, chunked",
        "chunked twice": b"chunked, chunked",
        "chunked and identity": b"chunked, identity",
        "identity": b"identity",
        "empty": b"",
        "xchunked": b"xchunked",
        "quoted": b'"chunked"',
        "with a parameter": b"chunked;a=b",
        "with a vertical tab": b"\x0bchunked",
        "a list with holes": b",chunked",
        "chunked\u017f": "ch\u016funked".encode(),
    }
    for name, value in codings.items():
        yield Case(f"a transfer coding that is {name}", post(b"Transfer-Encoding: " + value, body=IN_CHUNKS))
    yield Case(
        "two transfer codings",
        post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=IN_CHUNKS),
    )
    yield Case(
        "identity, then chunked",
        post(b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked", body=IN_CHUNKS),
    )
    yield Case("chunked over HTTP/1.0", chunked(body=IN_CHUNKS, version=b"HTTP/1.0"))


def _chunks() -> Iterator[Case]:
    """Chunks that break their grammar. What comes before the fault may not be taken for the body."""
    bodies = {
        "a size in hexadecimal with 0x": b"0x3\r\nabc\r\n0\r\n\r\n",
        "a signed size": b"+3\r\nabc\r\n0\r\n\r\n",
        "a negative size": b"-3\r\nabc\r\n0\r\n\r\n",
        "no size": b"\r\nabc\r\n0\r\n\r\n",
        "a size of other letters": b"g\r\nabc\r\n0\r\n\r\n",
        "a space before the size": b" 3\r\nabc\r\n0\r\n\r\n",
        "a space behind the size": b"3 \r\nabc\r\n0\r\n\r\n",
        "a size beyond 64 bits": b"1" + b"0" * 16 + b"\r\nabc\r\n0\r\n\r\n",
        "a size of 2,000 digits": b"1" * 2000 + b"\r\nabc\r\n0\r\n\r\n",
        "a size that ends in LF": b"3\nabc\r\n0\r\n\r\n",
        "a size that ends in CR": b"3\rabc\r\n0\r\n\r\n",
        "data longer than its size": b"3\r\nabcd\r\n0\r\n\r\n",
        "data that ends in LF": b"3\r\nabc\n0\r\n\r\n",
        "data without an end": b"3\r\nabc0\r\n\r\n",
        "a NUL in an extension": b"3;a=\x00\r\nabc\r\n0\r\n\r\n",
        "an LF in an extension": b"3;a=b\nabc\r\n0\r\n\r\n",
        "a broken trailer": b"3\r\nabc\r\n0\r\nno colon\r\n\r\n",
        "a trailer with a space before the colon": b"3\r\nabc\r\n0\r\nX-A : b\r\n\r\n",
        "a trailer with a NUL": b"3\r\nabc\r\n0\r\nX-A: \x00\r\n\r\n",
        "a last chunk that ends in LF": b"3\r\nabc\r\n0\n\n",
    }
    for name, body in bodies.items():
        yield Case(name, chunked(body=body))


def _lines() -> Iterator[Case]:
    """Request lines and header lines that break their grammar."""
    good = request()
    starts = {
        "no version": b"GET " + PATH,
        "HTTP/0.9": b"GET " + PATH + b" HTTP/0.9",
        "HTTP/2.0": b"GET " + PATH + b" HTTP/2.0",
        "HTTP/1.2": b"GET " + PATH + b" HTTP/1.2",
        "HTTP/1.10": b"GET " + PATH + b" HTTP/1.10",
        "http/1.1": b"GET " + PATH + b" http/1.1",
        "RTSP": b"GET " + PATH + b" RTSP/1.0",
        "two spaces": b"GET  " + PATH + b" HTTP/1.1",
        "a tab": b"GET\t" + PATH + b" HTTP/1.1",
        "a space at the end": b"GET " + PATH + b" HTTP/1.1 ",
        "a space in the target": b"GET /api/v1/ech o HTTP/1.1",
        "a NUL in the target": b"GET /api/v1/echo\x00 HTTP/1.1",
        "a byte beyond ASCII in the target": b"GET /api/v1/\xe4 HTTP/1.1",
        "a fragment": b"GET /api/v1/echo#a HTTP/1.1",
        "a target without a path": b"GET api/v1/echo HTTP/1.1",
        "another scheme": b"GET ftp://localhost/ HTTP/1.1",
        "no method": b" " + PATH + b" HTTP/1.1",
        "a method of no token": b"G(T " + PATH + b" HTTP/1.1",
        "an unknown method": b"SMUGGLE " + PATH + b" HTTP/1.1",
        "a method in lower case": b"get " + PATH + b" HTTP/1.1",
        "CONNECT": b"CONNECT localhost:80 HTTP/1.1",
        "CONNECT to a path": b"CONNECT " + PATH + b" HTTP/1.1",
        "a bare CR": b"GET " + PATH + b" HTTP/1.1\rX: y",
    }
    for name, line in starts.items():
        yield Case(f"a request line with {name}", good.replace(b"GET " + PATH + b" HTTP/1.1", line))
    yield Case("HTTP/2 by prior knowledge", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    yield Case("TLS on a plain port", bytes.fromhex("16030100c5010000c1030300") + bytes(200))
    yield Case("two empty lines before it", b"\r\n\r\n" + good)
    yield Case("an LF before it", b"\n" + good)
    yield Case("lines that end in LF", good.replace(b"\r\n", b"\n"))
    yield Case("one line that ends in LF", request(b"X-A: b\nX-C: d"))
    yield Case("a line that ends in CR", request(b"X-A: b\rX-C: d"))
    lines = {
        "a space before the colon": b"Content-Length : " + N,
        "a tab before the colon": b"Transfer-Encoding\t: chunked",
        "a space in the name": b"Content Length: 3",
        "no name": b": value",
        "no colon": b"Content-Length",
        "a folded line": b"X-A: b\r\n c",
        "a folded length": b"Content-Length:\r\n 3",
        "a folded coding": b"Transfer-Encoding:\r\n\tchunked",
        "a NUL in a value": b"X-A: b\x00c",
        "a control character in a value": b"X-A: b\x01c",
        "a DEL in a value": b"X-A: b\x7fc",
        "a NUL in a name": b"X\x00A: b",
        "a byte beyond ASCII in a name": b"X-\xe4: b",
        "a bracket in a name": b"X[A]: b",
    }
    for name, line in lines.items():
        yield Case(f"a field with {name}", post(line, body=IN_CHUNKS))
    yield Case("a space before the first field", good.replace(b"Host", b" Host"))


def _hosts() -> Iterator[Case]:
    """RFC 9112 section 3.2."""
    good = request()
    yield Case("no Host", good.replace(b"Host: localhost\r\n", b""))
    yield Case("two Hosts", request(b"Host: localhost"))
    yield Case("two other Hosts", request(b"hOST: evil.example"))
    for name, host in {
        "a list": b"localhost, evil.example",
        "a path": b"localhost/x",
        "a user": b"a@localhost",
        "a space": b"local host",
        "a port of letters": b"localhost:abc",
        "an open bracket": b"[::1",
        "a quote": b'loc"alhost',
        "a tag": b"<a>",
    }.items():
        yield Case(f"a Host with {name}", good.replace(b"localhost", host))
    yield Case("two Hosts over HTTP/1.0", request(b"Host: localhost", version=b"HTTP/1.0"))


def _sizes() -> Iterator[Case]:
    yield Case("a field of 100,000 bytes", request(b"X-A: " + b"a" * 100_000), 431)
    yield Case("a target of 100,000 bytes", request(target=PATH + b"?" + b"a" * 100_000), 431)
    yield Case("a name of 100,000 bytes", request(b"a" * 100_000 + b": b"), 431)
    yield Case("101 fields", request(*[b"X-%d: a" % n for n in range(100)]), 431)
    yield Case("100 fields", request(*[b"X-%d: a" % n for n in range(99)]), 200)
    yield Case("fields of 60,000 bytes", request(*[b"X-%d: %b" % (n, b"a" * 7500) for n in range(8)]), 200)
    extension = chunk(b"abc", b";" + b"a" * 100_000) + b"0\r\n\r\n"
    yield Case("an extension of 100,000 bytes", chunked(body=extension))
    trailers = b"".join(b"X-%d: a\r\n" % n for n in range(12_000))
    yield Case("trailers of 100,000 bytes", chunked(body=b"3\r\nabc\r\n0\r\n" + trailers + b"\r\n"))
    yield Case("a body of 300,000 bytes", counted(body=b"\r\n" * 150_000), 200, "POST", b"\r\n" * 150_000)
    large = chunk(b"\r\n\r\n" * 10_000) * 3 + b"0\r\n\r\n"
    yield Case("a chunked body of 120,000 bytes", chunked(body=large), 200, "POST", b"\r\n" * 60_000)


CASES = [
    *_legal(), *_offers(), *_websockets(), *_lengths(), *_chunks(), *_lines(), *_hosts(), *_sizes(),
]  # fmt: skip
"""All of them; names are unique."""
