"""Two hundred raw requests against one server, directly and through nginx as the product sets it up.

Each is followed on its connection by a request that must get its own answer, unless the connection ended
after the first one was refused. No answer ever belongs to something else, and nothing inside a body is
ever carried out.
"""

import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from artcafe.server.edge.limits import HttpLimits
from tests.kit.doorman import Doorman
from tests.kit.http_corpus import CASES, PATH, SMUGGLED, Case, request
from tests.kit.http_wire import Answer, Echo, Wire, wire
from tests.kit.nginx import Nginx, running_nginx
from tests.kit.servers import Server, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

NGINX_LIMITS = {400, 431}
"""What nginx says to legal requests that are too much for it: a field over 16 KiB, an absolute target."""

NEXT = request(b"Connection: close", target=PATH + b"?next")


@dataclass
class Edge:
    """A server that echoes, and nginx before it."""

    server: Server
    echo: Echo
    nginx: Nginx
    trust: ssl.SSLContext


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def edge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    echo = Echo()
    # Long enough that no deadline answers in the place of what is tested.
    patient = HttpLimits(head_seconds=60, body_seconds=60)
    async with serving(echo.app, Doorman(), http=patient) as server:
        generous = ("--address-rate", "100000")
        upstreams = [f"127.0.0.1:{server.port}"]
        with running_nginx(tmp_path_factory.mktemp("nginx"), *generous, upstreams=upstreams) as nginx:
            yield Edge(server, echo, nginx, ssl.create_default_context(cafile=nginx.certificate))


def saw(answer: Answer) -> tuple[str, str, bytes]:
    """Method, query and body of the request that this answers."""
    seen = json.loads(answer.body)
    return seen["method"], seen["query"], seen["body"].encode("latin-1")


async def first_answer(client: Wire, case: Case, echo: Echo) -> Answer:
    """The answer to the case, which is nobody else's."""
    answer = await client.answer(to_head=case.method == "HEAD")
    assert answer is not None
    assert answer.status != 101
    if answer.status == 200:
        assert case.status == 200
        if case.method != "HEAD":
            assert saw(answer) == (case.method, case.query, case.body)
    assert {seen["path"] for seen in echo.seen} <= {PATH.decode()}
    return answer


async def the_next_one_gets_its_own(client: Wire, *, must: bool) -> None:
    """The request behind is answered with what it asked, or the connection has ended."""
    after = await client.answer()
    assert after is not None or not must
    if after is not None and after.status == 200:
        assert saw(after) == ("GET", "next", b"")
        after = await client.answer()
    assert after is None or not must


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_directly(edge: Edge, case: Case) -> None:
    for step in (None, 7, 1):
        if step and len(case.raw) > 3000:
            continue
        edge.echo.seen.clear()
        async with wire(edge.server.port) as client:
            await client.send(case.raw + NEXT, step)
            answer = await first_answer(client, case, edge.echo)
            assert answer.status == case.status
            if answer.status == 200:
                seen = [] if case.method == "HEAD" else json.loads(answer.body)["headers"]
                assert not [name for name, _ in seen if name in {"upgrade", "x-trailer"}]
                await the_next_one_gets_its_own(client, must=case.goes_on)
            else:
                assert answer.headers["connection"] == "close"
                assert answer.headers["content-type"] == "application/problem+json"
                assert await client.answer() is None
        carried_out = [(seen["method"], seen["query"]) for seen in edge.echo.seen]
        assert carried_out.count(("GET", "next")) == (case.status == 200 and case.goes_on)
        assert len(carried_out) == (0 if case.status != 200 else 1 + case.goes_on)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_through_nginx(edge: Edge, case: Case) -> None:
    """nginx forgives more, and refuses other things; what it lets through is what it was sent."""
    edge.echo.seen.clear()
    async with wire(edge.nginx.https_port, edge.trust) as client:
        await client.send(case.raw + NEXT)
        if case.status == 200:
            assert (await first_answer(client, case, edge.echo)).status in {200, *NGINX_LIMITS}
            await the_next_one_gets_its_own(client, must=False)
        else:
            answer = await client.answer()
            if answer is not None and answer.status == 200:
                method, query, body = saw(answer)
                assert (method, query) == (case.raw.split()[0].decode(), "")
                assert body in {b"", b"abc", SMUGGLED}
            await the_next_one_gets_its_own(client, must=False)
    assert {seen["path"] for seen in edge.echo.seen} <= {PATH.decode()}
    async with wire(edge.nginx.https_port, edge.trust) as another:
        await another.send(NEXT)
        await the_next_one_gets_its_own(another, must=True)
