"""The processes: what `artcafe up` and `artcafe serve` do, from the lock to the last log line."""

import asyncio
import contextlib
import gc
import json
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import uvicorn
import uvloop

from artcafe.server.app import VERSION, Platform, platform
from artcafe.server.bus.authority import BusRefusedError
from artcafe.server.bus.operator import Operator
from artcafe.server.embedded.nats_server import NatsServer, NatsServerError
from artcafe.server.notify import Supervisor
from artcafe.server.process import Place, SystemClock
from artcafe.server.settings import Settings
from artcafe.server.store.item import StoreError
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.times import rfc3339

LOG = logging.getLogger("artcafe")

SEED_FILE = "operator.seed"
RUN_FILE = "run.json"


class StartFailed(Exception):
    """The platform did not start, and why, in one line for people."""


EXPECTED = (StartFailed, BusRefusedError, NatsServerError, StoreError, ArtcafeError, ValueError, OSError)
"""What may keep a platform from running without a fault of ours: its message is all there is to say."""


@dataclass(frozen=True, slots=True)
class Running:
    """What is told once everything answers."""

    url: str
    data_dir: Path
    nats_url: str
    local_sign_in: bool


def run(settings: Settings, *, embedded: bool, ready: Callable[[Running], None]) -> None:
    """Run until SIGINT or SIGTERM; then everything is stopped and written. Raises StartFailed.

    With `embedded` a nats-server of our own is started and ends with this process, whatever happens
    to it; without, the NATS at `nats_url` is used.
    """
    log_to_stderr(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_run(settings, embedded=embedded, ready=ready))
        except asyncio.CancelledError:
            raise StartFailed("Stopped before it was up.") from None
        except Exception as error:
            cause = _first(error)
            if isinstance(cause, EXPECTED):
                raise StartFailed(f"{cause}") from error
            raise


def _first(error: BaseException) -> BaseException:
    """What failed first, without the task groups it came through."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def nats_config(settings: Settings, *, listen: str, data_dir: Path, name: str) -> str:
    """The configuration that makes a nats-server this installation's bus. Raises StartFailed."""
    _make_data_dir(settings.data_dir)
    operator = Operator(load_seed(settings), SystemClock())
    return operator.server_config(server_name=name, listen=listen, data_dir=data_dir)


def load_seed(settings: Settings) -> bytes:
    """The secret behind all NATS keys: the setting, else the file in the data directory, made once."""
    if settings.operator_seed is not None:
        return bytes.fromhex(settings.operator_seed.get_secret_value())
    path = settings.data_dir / SEED_FILE
    if not path.exists():
        _make_seed(path)
    if path.stat().st_mode & 0o077:
        raise StartFailed(f"{path} can be read by others; `chmod 600` it, or make a new installation.")
    try:
        seed = bytes.fromhex(path.read_text().strip())
    except ValueError:
        seed = b""
    if len(seed) != 32:
        raise StartFailed(f"{path} does not hold 64 hexadecimal digits.")
    return seed


def _make_seed(path: Path) -> None:
    """Write a new seed, whole or not at all; of several processes that start at once, one wins."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


async def _run(settings: Settings, *, embedded: bool, ready: Callable[[Running], None]) -> None:
    async with AsyncExitStack() as stack:
        main = asyncio.current_task()
        assert main is not None
        _on_signals(lambda _: main.cancel())
        _make_data_dir(settings.data_dir)
        listener = stack.enter_context(contextlib.closing(_listen(settings)))
        place = Place(settings.host, listener.getsockname()[1])
        seed = load_seed(settings)
        nats = None
        if embedded:
            nats = _nats_server(settings, seed)
            await nats.start()
            stack.push_async_callback(nats.stop)
            nats_url = nats.url
        elif settings.nats_url is not None:
            nats_url = settings.nats_url
        else:
            raise StartFailed("`artcafe serve` needs a NATS: set NATS_URL, or run `artcafe up`.")
        opened = await stack.enter_async_context(
            platform(settings, place=place, nats_url=nats_url, seed=seed, embedded=embedded)
        )
        running = Running(place.url, settings.data_dir, nats_url, embedded and settings.issuer is None)
        supervisor = Supervisor.of_this_process()

        def answers() -> None:
            _announce(stack, running, ready, embedded=embedded)
            supervisor.tell("READY=1")

        server = _Server(settings, opened, answers, lambda: supervisor.tell("STOPPING=1"))
        _on_signals(lambda number: server.handle_exit(number, None))
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(supervisor.beat())]
            if nats is not None:
                beside.append(group.create_task(_watch(nats, server)))
            await server.serve(sockets=[listener])
            for task in beside:
                task.cancel()
        if server.fault is not None:
            raise server.fault


class _Server(uvicorn.Server):
    """uvicorn, which tells when it answers and when it stops, and sends WebSockets away first."""

    def __init__(
        self,
        settings: Settings,
        opened: Platform,
        ready: Callable[[], None],
        stopping: Callable[[], None],
    ) -> None:
        super().__init__(
            uvicorn.Config(
                opened.app,
                ws=opened.websocket,
                http="httptools",
                loop="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=round(settings.drain_seconds) + 1,
            )
        )
        self.fault: NatsServerError | None = None
        self._gateway = opened.gateway
        self._drain_seconds = settings.drain_seconds
        self._ready = ready
        self._stopping = stopping

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn would raise a signal again once it is done, and so end the process before the rest is
        stopped and written; ours are handled for the whole life of the process."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        # What is loaded by now stays. The collector would go through these hundred thousand objects again
        # and again while connections come, which is a fifth of what a login costs.
        gc.collect()
        gc.freeze()
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Send the agents away while the bus still carries what they sent, then stop listening."""
        self._stopping()
        await self._gateway.stop(self._drain_seconds)
        await super().shutdown(sockets)


def _on_signals(stop: Callable[[int], object]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)


async def _watch(nats: NatsServer, server: _Server) -> None:
    """Without its nats-server the platform has nothing to do: stop, and say why."""
    try:
        await nats.wait()
    except NatsServerError as fault:
        LOG.error("%s", fault)
        server.fault = fault
        server.should_exit = True


def _announce(
    stack: AsyncExitStack, running: Running, ready: Callable[[Running], None], *, embedded: bool
) -> None:
    if embedded:
        # Where the command line finds the platform of this data directory.
        path = running.data_dir / RUN_FILE
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps({"url": running.url, "pid": os.getpid(), "version": VERSION}) + "\n")
        draft.replace(path)
        stack.callback(path.unlink, missing_ok=True)
    ready(running)


def _make_data_dir(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = path / f".probe-{os.getpid()}"
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as error:
        raise StartFailed(f"The data directory {path} cannot be used: {error.strerror}.") from error


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(4096)
    except OSError as error:
        listener.close()
        raise StartFailed(
            f"Cannot listen on {settings.host} port {settings.port}: {error.strerror}. "
            "Choose another with --port (0 takes any)."
        ) from error
    listener.setblocking(False)
    return listener


def _nats_server(settings: Settings, seed: bytes) -> NatsServer:
    data = settings.data_dir / "nats"
    config = Operator(seed, SystemClock()).server_config(
        server_name="artcafe", listen=f"127.0.0.1:{settings.nats_port or -1}", data_dir=data
    )
    return NatsServer(config, data, binary=settings.nats_server)


class _JsonLines(logging.Formatter):
    """One JSON object a line, for programs."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        line = {
            "time": rfc3339(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_to_stderr(settings: Settings) -> None:
    """Send every log record to standard error, in the format and from the level that are set."""
    handler = logging.StreamHandler(sys.stderr)
    if settings.log_format == "json":
        handler.setFormatter(_JsonLines())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    # Third parties speak up when something is wrong.
    for name in ("httpx", "httpcore", "uvicorn", "asyncio", "nats"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
