"""Generated raw HTTP of a hostile client: requests that are nearly right."""

import random

_METHODS = (
    b"GET",
    b"POST",
    b"PUT",
    b"DELETE",
    b"HEAD",
    b"OPTIONS",
    b"PATCH",
    b"CONNECT",
    b"TRACE",
    b"get",
    b"G\x00T",
    b"",
)
_PATHS = (
    b"/",
    b"/livez",
    b"/health",
    b"/api/v1/tenants",
    b"/api/v1/agents?limit=1",
    b"/api/v1/channels/%2e%2e%2f",
    b"/api/v1/agents/%00",
    b"/api/v1/agents/%ff%fe",
    b"/api/v1/ws/dashboard",
    b"/api/v1/ws/agent/x?tenant_id=y",
    b"//api//v1",
    b"*",
    b"http://x/livez",
    b"/" + b"a" * 9_000,
    b"/?" + b"a=b&" * 3_000,
    b"/\xc3\xa9",
    b"/a b",
)
_VERSIONS = (b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.9", b"HTTP/", b"")
_UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
)
_FIELDS = (
    b"Host: x",
    b"Host: x",
    b"Host:",
    b"Host: y\r\nHost: z",
    b"Connection: keep-alive",
    b"Connection: close",
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c",
    _UPGRADE,
    b"Upgrade: TLS/1.0",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: xchunked",
    b"Content-Length: 5",
    b"Content-Length: -1",
    b"Content-Length: 5, 5",
    b"Content-Length: 99999999999999999999",
    b"Content-Length: 0x5",
    b"Expect: 100-continue",
    b"Expect: what",
    b"Content-Type: application/json",
    b"Content-Type: text/plain",
    b"Authorization: Bearer x",
    b"Authorization: Bearer " + b"a." * 8_000,
    b"X-Tenant-Id: \xff",
    b"X-Forwarded-For: 1.2.3.4, ::1, [::1]:5, x",
    b"Origin: null",
    b"Idempotency-Key: \xe9",
    b"If-Match: *",
    b"Accept: */*",
    b"X : y",
    b": y",
    b"X",
    b"X: a\r\n b",
    b"X: \x00",
    b"X: " + b"b" * 70_000,
    b"\r\n".join(b"X%d: y" % number for number in range(150)),
)
_BODIES = (
    b"",
    b"",
    b"hello",
    b'{"a":1}',
    b"5\r\nhello\r\n0\r\n\r\n",
    b"5;a=b\r\nhello\r\n0\r\nT: v\r\n\r\n",
    b"ffffffffffffffff\r\nx",
    b"-1\r\n",
    b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    b"[" * 5_000,
    b"x" * 100_000,
)
_ENDS = (b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r")


def request(choose: random.Random) -> bytes:
    """One request, or something close to one."""
    end = choose.choice(_ENDS)
    line = b" ".join((choose.choice(_METHODS), choose.choice(_PATHS), choose.choice(_VERSIONS)))
    fields = [choose.choice(_FIELDS) for _ in range(choose.randrange(6))]
    if choose.random() < 0.6:
        fields.insert(0, b"Host: x")
    return end.join((line, *fields, b"", choose.choice(_BODIES)))


def conversation(choose: random.Random) -> bytes:
    """A few requests one behind the other, now and then with a byte changed or the end cut off."""
    whole = b"".join(request(choose) for _ in range(choose.randrange(1, 5)))
    roll = choose.random()
    at = choose.randrange(len(whole))
    if roll < 0.1:
        return whole[:at]
    if roll < 0.25:
        return whole[:at] + choose.randbytes(1) + whole[at + 1 :]
    return whole
