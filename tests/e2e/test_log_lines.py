"""What a platform writes: every line is JSON where that is wanted, and no secret is in any of them."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from artcafe.wire.frames import SUBPROTOCOL
from tests.kit.deadlines import PATIENCE, eventually
from tests.kit.platform import RunningPlatform, artcafe, environment, running_platform
from tests.kit.processes import descendants
from tests.kit.ssh_keys import ssh_keygen_sign

MARK = "SENTINELaGVsbG8gd29ybGQ0123456789abcdefghijklmnopqrstuvwxyz"
"""Stands for every secret; long enough that no rule takes it for a name."""

IN_ROUTES = {"tenant_id": "acme", "agent_id": "a1", "channel_id": "c1", "user_id": "u1", "key": MARK}
DEEP = "[" * 2_000 + f'"{MARK}"' + "]" * 2_000
"""More levels than anything reads."""


def lines(platform: RunningPlatform) -> list[dict[str, Any]]:
    """Everything that was written to standard output and standard error."""
    return [json.loads(line) for line in platform.log.read_text().splitlines()]


def named(platform: RunningPlatform, event: str, **fields: object) -> list[dict[str, Any]]:
    """The events of this name with these fields."""
    return [
        line
        for line in lines(platform)
        if line.get("event") == event and all(line.get(name) == value for name, value in fields.items())
    ]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    """One that logs all there is to log, as JSON."""
    words = ("--log-format", "json", "--log-level", "debug")
    folder = tmp_path_factory.mktemp("log") / "data"
    # Each line is looked at, so none is to be folded into a count because there were so many.
    settings = {"ARTCAFE_MAX_PAYLOAD_BYTES": "2048", "ARTCAFE_LOG_RATE": "10000"}
    with running_platform(folder, *words, settings=settings) as running:
        running.make_tenant("acme", allow_client_challenge=True)
        yield running


@pytest.fixture(scope="module")
def routes(platform: RunningPlatform) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of every route."""
    described = httpx.get(f"{platform.url}/openapi.json").json()
    return [
        (method.upper(), path, operation)
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
    ]


async def say(platform: RunningPlatform, path: str, *frames: str, ours: bool = True, **headers: str) -> None:
    """Open a WebSocket and send frames, whatever comes of it; the server has read them when this returns."""
    protocols = [SUBPROTOCOL] if ours else None
    with suppress(InvalidStatus, ConnectionClosed):
        async with (
            asyncio.timeout(PATIENCE),
            connect(platform.ws + path, subprotocols=protocols, additional_headers=headers) as socket,  # type: ignore[arg-type]
        ):
            for frame in frames:
                await socket.send(frame)
            await (await socket.ping())


async def test_no_error_path_of_the_api_logs_what_it_was_given(
    platform: RunningPlatform, routes: list[tuple[str, str, dict[str, Any]]]
) -> None:
    """Secrets in headers, cookies, queries, paths and bodies of every route, by strangers and by members."""
    token = platform.token()
    shown = [
        {},
        {"authorization": f"Bearer {MARK}.{MARK}.{MARK}"},
        {"authorization": f"Basic {MARK}"},
        {"authorization": f"Bearer {token}", "x-tenant-id": "acme"},
        {"authorization": f"Bearer {token}", "x-tenant-id": f"{MARK}."},
    ]
    names = {name for _, _, operation in routes for name in _fields(operation)}
    known = dict.fromkeys(names | {"public_key", "secret", "token", "private_key"}, MARK)
    bodies = [json.dumps(known), json.dumps({"name": MARK, MARK: MARK}), f'{{"{MARK}', DEEP, MARK * 2_000]
    answers: set[int] = set()
    async with httpx.AsyncClient(base_url=platform.url, timeout=30.0) as client:

        async def call(number: int, method: str, path: str) -> None:
            body = bodies[number % len(bodies)]
            headers = {
                **shown[number % len(shown)],
                "content-type": "application/json" if number % 7 else f"text/{MARK}",
                "cookie": f"session={MARK}",
                "idempotency-key": MARK[:40],
                "if-match": f'"{MARK}"',
                "x-forwarded-for": MARK,
            }
            answer = await client.request(
                method, f"{path}?token={MARK}&secret={MARK}&next_token={MARK}", headers=headers, content=body
            )
            answers.add(answer.status_code)

        number = 0
        for method, path, _ in routes:
            for _ in range(len(shown)):
                number += 1
                await call(number, method, path.format_map(_Filled()))
        for path in (f"/{MARK}", f"/api/v1/{MARK}/x", f"/api/v1/agents/{MARK}/{MARK}/keys", "/%0a%1b[2J"):
            await call(number, "GET", path)
    assert {401, 403, 404, 413, 415, 422} - answers <= {403, 415}, answers

    written = platform.log.read_text()
    assert MARK not in written
    assert token not in written
    assert (platform.data_dir / "issuer" / "secret").read_text().strip() not in written
    assert (platform.data_dir / "operator.seed").read_text().strip() not in written
    assert lines(platform)
    assert named(platform, "request", status=401)
    assert all(line["request"] for line in named(platform, "request"))


async def test_no_error_path_of_the_gateway_logs_what_it_was_given(
    platform: RunningPlatform, new_key: Callable[[], Path]
) -> None:
    key, stranger = new_key(), new_key()
    platform.make_agent("acme", "a1", key)
    here = "/api/v1/ws/agent/a1?tenant_id=acme"
    board, token = "/api/v1/ws/dashboard", platform.token()
    signature = ssh_keygen_sign(stranger, "a text")
    proof = urlencode({"challenge": MARK, "signature": MARK})
    auth = [f'{{"type":"auth","signature":"{MARK}"}}', f'{{"type":"auth","token":"{MARK}"}}', MARK, DEEP]
    asked = [
        say(platform, here, auth[0]),
        say(platform, here, *auth),
        say(platform, here, json.dumps({"type": "auth", "signature": signature, "key": MARK})),
        say(platform, f"{here}&{proof}"),
        say(platform, f"{here}&{proof}", ours=False),
        say(platform, f"/ws/agent/a1?tenant_id={MARK}.&{proof}", ours=False),
        say(platform, f"/api/v1/ws/agent/{quote(MARK + chr(10))}?tenant_id=acme"),
        say(platform, f"/{MARK}?{proof}"),
        say(platform, f"{board}?token={MARK}", ours=False),
        say(platform, f"{board}?auth={MARK}", ours=False),
        say(platform, board, ours=False, authorization=f"Bearer {MARK}"),
        say(platform, board, ours=False, origin=f"https://{MARK}.example.com"),
        *(say(platform, board, frame, ours=False) for frame in auth),
        say(platform, f"{board}?tenant_id={MARK}.", ours=False, authorization=f"Bearer {token}"),
    ]
    for each in asked:
        await each

    # And of an agent that is in: each kind of frame that is refused, and one that closes.
    async with connect(platform.ws + here, subprotocols=[SUBPROTOCOL]) as socket:  # type: ignore[list-item]
        challenge = json.loads(await socket.recv())["text"]
        proof_of_it = ssh_keygen_sign(key, challenge)
        await socket.send(json.dumps({"type": "auth", "signature": proof_of_it}))
        assert json.loads(await socket.recv())["type"] == "welcome"
        for frame in (
            {"type": "publish", "subject": "x", "data": MARK},
            {"type": "publish", "subject": f"bad subject {MARK}", "data": MARK, "id": "1"},
            {"type": "publish", "subject": "x", "data": MARK * 100},
            {"type": "subscribe", "subject": f"{MARK}..", "queue": MARK},
            {"type": "subscribe", "subject": "agents.other.>", "headers": MARK},
            {"type": MARK, "data": MARK},
            {"type": "presence", "status": MARK * 100, "metadata": {"x": MARK}},
        ):
            await socket.send(json.dumps(frame))
        await socket.send(MARK)
        await socket.send(DEEP)
        await socket.send(MARK.encode())
        with suppress(ConnectionClosed):
            while True:
                await socket.recv()

    [accepted] = named(platform, "login_accepted", agent="a1")
    mine = {"connection": accepted["connection"]}
    await eventually(lambda: named(platform, "disconnected", **mine), "the line of the end")
    written = platform.log.read_text()
    assert MARK not in written
    for secret in (challenge, proof_of_it, signature, token):
        part = "".join(secret.split("\n")[1:3]) if "\n" in secret else secret
        assert part[:40] not in written.replace("\\n", "")
    assert named(platform, "login_refused", reason="bad_answer")
    assert named(platform, "login_refused", reason="bad_signature", agent="a1")
    [over] = named(platform, "disconnected", **mine)
    assert (over["code"], over["error"]) == (1003, "bad_frame")
    assert over["frames_in"] == 11


def test_every_line_of_a_platform_is_json_from_its_start_to_its_end(platform: RunningPlatform) -> None:
    """The last test of this platform: garbage, a fault of the bus, and the end."""
    with suppress(OSError):
        httpx.get(f"{platform.url}/livez", headers={"host": "a"})
    [nats] = descendants(platform.process.pid, "nats-server")
    os.kill(nats, signal.SIGKILL)
    assert platform.process.wait(30) == 1

    assert [line["url"] for line in named(platform, "started")] == [platform.url]
    [failed] = named(platform, "start_failed")
    assert "nats-server ended by signal 9" in failed["reason"]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines(platform))


def test_every_line_of_workers_and_of_who_watches_them_is_json(tmp_path: Path) -> None:
    with running_platform(tmp_path / "data", "--workers", "2", "--log-format", "json") as platform:
        first = descendants(platform.process.pid, "artcafe.server.worker")
        os.kill(min(first), signal.SIGKILL)
        assert httpx.get(f"{platform.url}/api/v1/agents", timeout=60).status_code == 401
        platform.process.send_signal(signal.SIGHUP)
        platform.stop()

    said = lines(platform)
    assert any("another one takes its place" in line["message"] for line in said)
    assert named(platform, "login_refused", reason="no_credentials")
    assert named(platform, "started")


@pytest.mark.parametrize(
    "settings", [{"ARTCAFE_PORT": "nonsense"}, {}], ids=["a setting is wrong", "there is no bus"]
)
def test_who_cannot_start_says_so_in_one_line_of_json(tmp_path: Path, settings: dict[str, str]) -> None:
    given = {"ARTCAFE_DATA_DIR": str(tmp_path), **settings, "ARTCAFE_LOG_FORMAT": "json"}
    done = subprocess.run(
        artcafe("serve"), capture_output=True, text=True, timeout=60, check=False, env=environment(**given)
    )

    assert done.returncode == 1
    assert done.stdout == ""
    [line] = [json.loads(text) for text in done.stderr.splitlines()]
    assert (line["event"], line["level"]) == ("start_failed", "error")
    assert line["reason"]


class _Filled(dict[str, str]):
    """Values for the parameters of a path."""

    def __missing__(self, name: str) -> str:
        return IN_ROUTES.get(name, MARK)


def _fields(operation: dict[str, Any]) -> set[str]:
    """Parameters of a query, by name; those of bodies are sent by all names that secrets have."""
    return {each["name"] for each in operation.get("parameters", []) if each["in"] == "query"}
