"""One of several processes that serve one port: `python -m artcafe.server.worker`, started by `Workers`.

The order comes on standard input. The parent is notified by sd_notify(3) that this process answers,
that its event loop turns, and that it stops.
"""

import asyncio
import logging
import socket
import sys

import msgspec
import uvloop

from artcafe.server.app import platform
from artcafe.server.logs import Lines, log_to_stderr
from artcafe.server.notify import Supervisor
from artcafe.server.process import Place
from artcafe.server.serving import Server, on_signals, telemetry_of
from artcafe.server.settings import load
from artcafe.server.slot import REPLACED
from artcafe.server.telemetry.worker_reports import Reporter
from artcafe.server.workers import Order

LOG = logging.getLogger("artcafe")


async def serve(order: Order, listener: socket.socket, lines: Lines) -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = load(**order.settings)
    main = asyncio.current_task()
    assert main is not None
    on_signals(lambda _: main.cancel())
    supervisor = Supervisor(order.supervision)
    place = Place(settings.host, order.port)
    telemetry = telemetry_of(settings)
    async with platform(
        settings,
        place=place,
        nats_url=order.nats_url,
        seed=bytes.fromhex(order.seed),
        embedded=order.embedded,
        name=order.name,
        telemetry=telemetry,
    ) as opened:
        server = Server(
            settings, opened, lambda: supervisor.tell("READY=1"), lambda: supervisor.tell("STOPPING=1")
        )
        on_signals(server.stop)
        asyncio.get_running_loop().add_signal_handler(REPLACED, server.replaced)
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(supervisor.beat()), group.create_task(lines.keep_writing_counts())]
            if telemetry is not None and order.metrics >= 0:
                reporter = Reporter(socket.socket(fileno=order.metrics), telemetry.collect)
                beside.append(group.create_task(reporter.run()))
            await server.serve(sockets=[listener])
            for task in beside:
                task.cancel()


def main() -> None:
    """Take the order, and serve. What goes wrong is logged, and ends the process with 1."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    lines = log_to_stderr(load(**order.settings))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(order, socket.socket(fileno=order.descriptor), lines))
    except asyncio.CancelledError:
        sys.exit(1)  # Stopped before it was up.
    except Exception:
        # The edge of the process: whoever started it starts another one, and people read why.
        LOG.exception("a worker ends")
        sys.exit(1)


if __name__ == "__main__":
    main()
