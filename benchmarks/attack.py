"""`make attack`: every attack of one tenant, and what a neighbour in another tenant felt of it.

Each attack gets a fresh platform. A neighbour, in a process of its own, is measured before and during it; the
server's event loop and memory are watched. Exit code 0 when each attack stays within the bounds: the
neighbour's median latency grows at most `SLOWER` times, no stall of the loop is longer than `STALL_SECONDS`,
and the server's memory comes back to what it was, but for `KEPT_BYTES`.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from artcafe.cli.connection import running
from artcafe.cli.key_pair import make_key_pair
from artcafe.client.rest import Rest
from benchmarks import page
from benchmarks.attacks import ATTACKS
from benchmarks.attacks.target import AGENTS, Attack, Target
from benchmarks.measure import Machine, Meter, machine, pinned
from benchmarks.peers.peer import ROOT, Failed, Server
from benchmarks.peers.watched import StallFile
from benchmarks.session import Say

SLOWER = 5.0
STALL_SECONDS = 0.25
KEPT_BYTES = 32 << 20
SECONDS = 5.0

_PATIENCE_SECONDS = 20.0
"""How long the memory may take to come back."""


@dataclass(frozen=True, slots=True)
class Felt:
    """Latencies in microseconds: half of them are at most p50, all but a hundredth at most p99."""

    p50: float
    p99: float

    @classmethod
    def of(cls, latencies: Sequence[float]) -> "Felt":
        """Of at least two. Raises StatisticsError for fewer."""
        parts = statistics.quantiles(latencies, n=100, method="inclusive")
        return cls(parts[49], parts[98])


@dataclass(frozen=True, slots=True)
class Found:
    """What an attack did. `fault` says what ended the neighbour or the server, or None."""

    title: str
    sentence: str
    messages: tuple[Felt, Felt] | None
    requests: tuple[Felt, Felt] | None
    stall_seconds: float
    bytes_before: int
    bytes_most: int
    bytes_after: int
    fault: str | None = None

    @property
    def broken(self) -> list[str]:
        """The bounds that did not hold, in words."""
        words = [] if self.fault is None else [self.fault]
        for kind, pair in (("messages", self.messages), ("requests", self.requests)):
            if pair is not None and pair[1].p50 > SLOWER * pair[0].p50:
                words.append(f"{kind} {pair[1].p50 / pair[0].p50:.1f} times slower")
        if self.stall_seconds > STALL_SECONDS:
            words.append(f"a stall of {self.stall_seconds * 1000:.0f} ms")
        if self.bytes_after > self.bytes_before + KEPT_BYTES:
            words.append(f"{(self.bytes_after - self.bytes_before) >> 20} MiB kept")
        return words


class _Helper:
    """A process that takes lines and answers with lines."""

    def __init__(self, words: list[str], core: int | None) -> None:
        self._name = words[0].partition(".")[2]
        self._process = subprocess.Popen(
            pinned([sys.executable, "-m", *words], core),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            start_new_session=True,
        )

    def say(self, line: str) -> None:
        """Give it a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        """Its next line. Raises Failed when it ends without one."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Failed(f"{self._name} ended")
        return line.strip()

    def end(self) -> None:
        """End it, whatever it does."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


@dataclass(frozen=True, slots=True)
class _Scene:
    """A platform with two tenants."""

    server: Server
    meter: Meter
    stalls: StallFile
    attacker: Target
    neighbour: Target


@contextmanager
def _scene(core: int | None) -> Iterator[_Scene]:
    with tempfile.TemporaryDirectory(prefix="artcafe-attack-") as name:
        folder = Path(name)
        data, watch = folder / "data", folder / "stalls"
        command = [
            sys.executable,
            "-m",
            "benchmarks.peers.watched",
            "up",
            "--port",
            "0",
            "--data-dir",
            str(data),
        ]
        server = Server(command, folder, core, {"PYTHONPATH": str(ROOT), "LOOP_WATCH": str(watch)})
        try:
            server.until(lambda: running(data) is not None)
            url = running(data)
            assert url is not None
            attacker, neighbour = asyncio.run(_furnish(url, data, folder))
            yield _Scene(server, Meter(server.pid), StallFile(watch), attacker, neighbour)
        finally:
            server.stop()


async def _furnish(url: str, data: Path, folder: Path) -> tuple[Target, Target]:
    """Two tenants of the largest plan, with agents and their keys."""
    secret = (data / "issuer" / "secret").read_text().strip()
    host, _, port = url.removeprefix("http://").rpartition(":")
    public = [make_key_pair(folder / f"agent-{number}") for number in range(AGENTS)]
    targets = []
    async with Rest(url) as stranger:
        operator = (await stranger.local_token(secret))["access_token"]
        for tenant, address in (("attacker", "127.0.0.2"), ("neighbour", "127.0.0.1")):
            async with Rest(url, operator) as rest:
                await rest.create_tenant(id=tenant, name=tenant, subscription_tier="enterprise")
            token = (await stranger.local_token(secret, tenant=tenant, role="admin"))["access_token"]
            async with Rest(url, token, tenant=tenant) as rest:
                for number, line in enumerate(public):
                    await rest.create_agent(id=f"agent-{number}", name=f"{number}", public_key=line)
            targets.append(Target(host, int(port), tenant, token, str(folder), address))
    return targets[0], targets[1]


def strike(attack: Attack, here: Machine, seconds: float) -> Found:
    """Carry one attack out on a platform of its own. Raises Failed when it cannot even be prepared."""
    with _scene(here.server_core) as scene:
        core = here.generator_core
        target = msgspec.json.encode(scene.attacker).decode()
        neighbour = _Helper(["benchmarks.neighbour", msgspec.json.encode(scene.neighbour).decode()], core)
        attacker = _Helper(["benchmarks.attacks", attack.name, target, f"{seconds}"], core)
        try:
            return _measured(attack, scene, neighbour, attacker, seconds)
        finally:
            attacker.end()
            neighbour.end()


def _measured(attack: Attack, scene: _Scene, neighbour: _Helper, attacker: _Helper, seconds: float) -> Found:
    neighbour.hear()
    attacker.hear()
    _latencies(neighbour, 1.0)
    before = _latencies(neighbour, seconds)
    held = most = after = scene.meter.memory()
    scene.stalls.reset()
    attacker.say("")
    fault, during, sentence = None, None, "it did not end"
    neighbour.say(f"{seconds}")
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            time.sleep(0.1)
            most = max(most, scene.meter.memory())
        during = _heard(neighbour)
        sentence = attacker.hear()
        end = time.monotonic() + _PATIENCE_SECONDS
        while (after := scene.meter.memory()) > held + KEPT_BYTES and time.monotonic() < end:
            time.sleep(0.2)
    except (OSError, Failed) as error:
        fault = f"{error}"
    pairs = [None if during is None else (before[kind], during[kind]) for kind in ("messages", "requests")]
    stall = scene.stalls.seconds
    return Found(attack.title, sentence, pairs[0], pairs[1], stall, held, most, after, fault)


def _latencies(neighbour: _Helper, seconds: float) -> dict[str, Felt]:
    neighbour.say(f"{seconds}")
    return _heard(neighbour)


def _heard(neighbour: _Helper) -> dict[str, Felt]:
    told = json.loads(neighbour.hear())
    if "fault" in told:
        raise Failed(told["fault"])
    return {kind: Felt.of(latencies) for kind, latencies in told.items()}


HEAD = [
    "attack",
    "messages p50 ms",
    "p99 ms",
    "requests p50 ms",
    "p99 ms",
    "stall ms",
    "MiB before, most, after",
    "within bounds",
]


def text(found: Sequence[Found], here: Machine, seconds: float) -> str:
    """What came of them, in Markdown: each latency before the attack, and during it."""
    rows = [
        [
            each.title,
            *_pair(each.messages),
            *_pair(each.requests),
            f"{each.stall_seconds * 1000:.0f}",
            ", ".join(f"{size >> 20}" for size in (each.bytes_before, each.bytes_most, each.bytes_after)),
            "yes" if not each.broken else f"**no**: {'; '.join(each.broken)}",
        ]
        for each in found
    ]
    return (
        page.table(HEAD, rows)
        + f"\nEach for {seconds:.0f} s, on a platform of its own; {here.model}, {here.cores} cores, "
        f"Linux {here.kernel}.\n"
    )


def _pair(felt: tuple[Felt, Felt] | None) -> list[str]:
    if felt is None:
        return ["-", "-"]
    before, during = felt
    return [
        f"{before.p50 / 1000:.2f} → {during.p50 / 1000:.2f}",
        f"{before.p99 / 1000:.2f} → {during.p99 / 1000:.2f}",
    ]


def main() -> None:
    """Write reports/attack.json and print the table."""
    given = _arguments()
    # So that a run that is ended takes its servers along, through every `finally`.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    here, found = machine(), []
    began = time.monotonic()
    say: Say = lambda words: print(f"{time.monotonic() - began:6.1f} s  {words}", file=sys.stderr)  # noqa: E731, T201
    wanted = [attack for attack in ATTACKS if not given.only or attack.name in given.only]
    for attack in wanted:
        try:
            each = strike(attack, here, given.seconds)
        except (Failed, OSError) as error:
            sys.exit(f"{attack.title}: {error}")
        found.append(each)
        say(f"{attack.name}: {each.sentence}. {'; '.join(each.broken) or 'within bounds'}")
    sys.stdout.write(text(found, here, given.seconds))
    (ROOT / "reports").mkdir(exist_ok=True)
    (ROOT / "reports" / "attack.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"
    )
    sys.exit(1 if any(each.broken for each in found) else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attack", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each attack (%(default)s)")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="these attacks alone")
    return parser.parse_args()


if __name__ == "__main__":
    main()
