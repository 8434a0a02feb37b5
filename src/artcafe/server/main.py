"""The processes `artcafe up` and `artcafe serve`, from the lock to the last log line."""

import asyncio
import contextlib
import errno
import json
import logging
import os
import random
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import uvloop

from artcafe.server.app import VERSION, platform
from artcafe.server.bus.accounts.cluster import Node, Tls
from artcafe.server.bus.accounts.operator import Operator
from artcafe.server.bus.accounts.system_link import BusRefusedError
from artcafe.server.domain.installation import WrongInstallation
from artcafe.server.embedded.nats_server import NatsServer, NatsServerError
from artcafe.server.events import Started, note
from artcafe.server.logs import Lines, log_start_failed, log_to_stderr
from artcafe.server.notify import Supervisor
from artcafe.server.preflight import NO_NATS, faults
from artcafe.server.process import Place, SystemClock, new_id
from artcafe.server.seed import SeedError, load_seed
from artcafe.server.serving import MetricsServer, Server, on_signals, telemetry_of
from artcafe.server.settings import LOOPBACK, Settings, service_links
from artcafe.server.slot import Deadlines
from artcafe.server.store.item import StoreError
from artcafe.server.telemetry.exposition import PATH, Exposition, Metrics
from artcafe.server.telemetry.telemetry import Telemetry
from artcafe.server.telemetry.worker_reports import WorkerReports
from artcafe.server.workers import FAREWELL_SECONDS, Order, Workers, WorkersFailed
from artcafe.wire.errors import ArtcafeError

LOG = logging.getLogger("artcafe")

RUN_FILE = "run.json"


class StartError(Exception):
    """The platform did not start, and why, in one line for people."""


EXPECTED = (
    StartError,
    SeedError,
    WorkersFailed,
    BusRefusedError,
    NatsServerError,
    StoreError,
    WrongInstallation,
    ArtcafeError,
    ValueError,
    OSError,
)
"""What may keep a platform from running without a fault of ours: its message is all there is to say."""


@dataclass(frozen=True, slots=True)
class Running:
    """The report of a platform that answers."""

    url: str
    data_dir: Path
    nats_url: str
    local_sign_in: bool
    agents: tuple[str, ...] = ()
    """The only addresses that agents may dial, where it listens for other machines and has no public one."""


def run(settings: Settings, *, embedded: bool, ready: Callable[[Running], None]) -> None:
    """Run until SIGINT or SIGTERM; then everything is stopped and written. Raises StartFailed.

    `ready` tells people that everything answers; with `log_format` json a log event says it instead.

    With `embedded` a nats-server of our own is started and ends with this process, whatever happens
    to it; without, the NATS at `nats_url` is used.
    """
    lines = log_to_stderr(settings)
    if found := faults(settings, embedded=embedded):
        raise StartError("\n".join(found))
    if links := service_links():
        LOG.warning("%s is ignored: Kubernetes made it, for a Service (enableServiceLinks)", ", ".join(links))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_run(settings, lines, embedded=embedded, ready=ready))
        except asyncio.CancelledError:
            raise StartError("Stopped before it was up.") from None
        except Exception as error:
            cause = _first(error)
            if isinstance(cause, EXPECTED):
                raise StartError(_sentence(cause)) from error
            raise


def _sentence(error: BaseException) -> str:
    if not isinstance(error, OSError) or error.errno is None:
        return f"{error}"
    reason = "the disk is full" if error.errno in {errno.ENOSPC, errno.EDQUOT} else error.strerror
    return f"{error.filename}: {reason}" if error.filename else f"Cannot start: {reason}"


def report_start_failure(reason: str) -> None:
    """Say in a line of JSON why nothing runs."""
    log_start_failed(reason)


def _first(error: BaseException) -> BaseException:
    """The first failure, without the exception groups around it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def nats_config(
    settings: Settings,
    *,
    listen: str,
    data_dir: Path,
    name: str,
    tls: tuple[Path, Path, Path] | None = None,
    upcoming: bool = False,
) -> str:
    """The configuration that makes a nats-server this installation's bus: with the seed in force, or the
    next one. Raises StartFailed, SeedError, ValueError.

    `tls` are its certificate, its key, and the certificate of whom to trust, on the server's machine.
    """
    _make_data_dir(settings.data_dir)
    operator = Operator(load_seed(settings, upcoming=upcoming), SystemClock())
    files = None if tls is None else Tls(*tls)
    return operator.server_config(server_name=name, listen=listen, data_dir=data_dir, tls=files)


def cluster_configs(
    settings: Settings,
    nodes: Sequence[tuple[str, str, str]],
    *,
    data_dir: Path,
    tls: tuple[Path, Path, Path] | None = None,
    upcoming: bool = False,
) -> dict[str, str]:
    """The same for each server of a cluster, by its name: `nodes` are name, and where it listens for clients
    and for the other servers, `host:port`. They hold the cluster's secret.

    Raises StartFailed, SeedError, ValueError.
    """
    _make_data_dir(settings.data_dir)
    operator = Operator(load_seed(settings, upcoming=upcoming), SystemClock())
    files = None if tls is None else Tls(*tls)
    cluster = operator.cluster([Node(*each) for each in nodes])
    return {
        node.name: operator.node_config(cluster, node, data_dir=data_dir, tls=files) for node in cluster.nodes
    }


async def _run(settings: Settings, lines: Lines, *, embedded: bool, ready: Callable[[Running], None]) -> None:
    async with AsyncExitStack() as stack:
        main = asyncio.current_task()
        assert main is not None
        on_signals(lambda _: main.cancel())
        loop, renewable = asyncio.get_running_loop(), not sys.stdin.isatty()
        if renewable:  # With a terminal, SIGHUP says that it is gone.
            loop.add_signal_handler(signal.SIGHUP, LOG.info, "SIGHUP at the start: there is nothing to renew")
        _make_data_dir(settings.data_dir)
        first = _listen(settings.host, settings.port, shared=settings.workers > 1)
        listeners = [stack.enter_context(contextlib.closing(first))]
        place = Place(settings.host, listeners[0].getsockname()[1])
        listeners += [
            stack.enter_context(contextlib.closing(_listen(settings.host, place.port, shared=True)))
            for _ in range(1, settings.workers)
        ]
        telemetry = telemetry_of(settings) if settings.workers == 1 else None
        metrics = _Metrics.wanted(settings, stack, telemetry)
        seed = load_seed(settings)
        nats, nats_url = await _bus(settings, stack, seed, embedded=embedded)
        running = Running(
            place.url,
            settings.data_dir,
            nats_url,
            embedded and settings.issuer is None,
            agent_addresses(settings, place),
        )
        supervisor = Supervisor.of_this_process()

        def answers() -> None:
            _announce(stack, running, embedded=embedded)
            if settings.log_format == "json":
                note(
                    Started(
                        url=running.url,
                        data_dir=f"{running.data_dir}",
                        nats_url=running.nats_url,
                        version=VERSION,
                    )
                )
            else:
                _tell_people(ready, running)
            supervisor.tell("READY=1")

        server: Server | Workers
        if settings.workers == 1:
            opened = await stack.enter_async_context(
                platform(
                    settings,
                    place=place,
                    nats_url=nats_url,
                    seed=seed,
                    embedded=embedded,
                    name="embedded" if embedded else new_id(),
                    telemetry=telemetry,
                )
            )
            server = Server(settings, opened, answers, lambda: supervisor.tell("STOPPING=1"))
        else:
            order = Order(
                settings=settings.given(),
                port=place.port,
                nats_url=nats_url,
                seed=seed.hex(),
                embedded=embedded,
            )
            server = Workers(
                order,
                listeners,
                Deadlines(leave=settings.drain_notice_seconds + settings.drain_seconds + FAREWELL_SECONDS),
                answers,
                lambda: supervisor.tell("STOPPING=1"),
                random.random,
                reports=None if metrics is None else metrics.reports,
            )
        on_signals(server.stop)
        if renewable:
            loop.add_signal_handler(signal.SIGHUP, server.renew)
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(supervisor.beat()), group.create_task(lines.keep_writing_counts())]
            if nats is not None:
                beside.append(group.create_task(_watch(nats, server)))
            if metrics is not None:
                beside.append(group.create_task(metrics.serve(settings)))
            await server.serve(sockets=listeners)
            for task in beside:
                task.cancel()
        if server.fault is not None:
            raise server.fault


async def _bus(
    settings: Settings, stack: AsyncExitStack, seed: bytes, *, embedded: bool
) -> tuple[NatsServer | None, str]:
    """The nats-server of our own, which is stopped with the stack, and the address of the NATS to use."""
    if embedded:
        nats = _nats_server(settings, seed)
        await nats.start()
        stack.push_async_callback(nats.stop)
        return nats, nats.url
    if settings.nats_url is None:
        raise StartError(NO_NATS)
    return None, settings.nats_url


class _Metrics:
    """The socket on which metrics are served: those of this process, or of its workers."""

    def __init__(self, listener: socket.socket, telemetry: Telemetry | None, workers: int) -> None:
        self._listener = listener
        self._telemetry = telemetry
        self.reports = WorkerReports(workers) if workers > 1 else None

    @classmethod
    def wanted(
        cls, settings: Settings, stack: AsyncExitStack, telemetry: Telemetry | None
    ) -> "_Metrics | None":
        """None where the settings want none; the socket is closed with the stack. Raises StartError."""
        if settings.metrics_port is None:
            return None
        listener = _listen(settings.metrics_host, settings.metrics_port)
        stack.enter_context(contextlib.closing(listener))
        place = Place(settings.metrics_host, listener.getsockname()[1])
        LOG.info("metrics are served at %s%s", place.url, PATH)
        return cls(listener, telemetry, settings.workers)

    async def serve(self, settings: Settings) -> None:
        """Serve until cancelled."""
        await MetricsServer(settings, Exposition(self._collect)).run_until_cancelled(self._listener)

    async def _collect(self) -> Metrics:
        if self.reports is not None:
            return await self.reports.collect()
        assert self._telemetry is not None
        return self._telemetry.collect()


async def _watch(nats: NatsServer, server: Server | Workers) -> None:
    """Without its nats-server the platform has nothing to do: stop, and say why."""
    try:
        await nats.wait()
    except NatsServerError as fault:
        LOG.error("%s", fault)
        server.fault = fault
        server.stop(signal.SIGTERM)


def _announce(stack: AsyncExitStack, running: Running, *, embedded: bool) -> None:
    if embedded:
        # Where the command line finds the platform of this data directory.
        path = running.data_dir / RUN_FILE
        draft = path.with_suffix(".new")
        draft.write_text(
            json.dumps({"url": running.url, "pid": os.getpid(), "version": VERSION}) + "\n", "utf-8"
        )
        draft.replace(path)
        stack.callback(path.unlink, missing_ok=True)


def _tell_people(ready: Callable[[Running], None], running: Running) -> None:
    try:
        ready(running)
    except OSError as error:  # A closed pipe or a full disk is no reason to stop what answers by now.
        LOG.warning("what runs here cannot be told: %s", error.strerror)


def agent_addresses(settings: Settings, place: Place) -> tuple[str, ...]:
    """The only addresses that agents may dial, where it listens for other machines and has no public one."""
    own = place.url.replace("http://", "ws://", 1)
    here = {f"ws://{name}:{place.port}" for name in LOOPBACK}
    if settings.public_url is not None or (own in here and settings.host and settings.host in own):
        return ()
    return tuple(sorted(here)) if own in here else (own,)


def _make_data_dir(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = path / f".probe-{os.getpid()}"
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as error:
        raise StartError(f"The data directory {path} cannot be used: {error.strerror}.") from error


def _listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            # The kernel shares out connections among the sockets (socket(7)); each waits in its queue for
            # the worker of that socket, or for the one that takes its place.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        listener.listen(4096)
    except OSError as error:
        listener.close()
        raise StartError(
            f"Cannot listen on {host} port {port}: {error.strerror}. "
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
