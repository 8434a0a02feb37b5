"""A whole platform in a process of its own, started as a person would, and ways to talk to it."""

import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.kit.local_proofs import ask
from tests.kit.preloaded import Preloaded

START_SECONDS = 60.0
_UP = re.compile(r'(?:runs at |"event": "started", "url": ")(http://[^\s,"]+)')
"""What is said once everything answers, to people or to programs."""

STOP_SECONDS = 15.0


def environment(**more: str) -> dict[str, str]:
    """This process's environment without anything that settings would read."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ARTCAFE_", "NATS_", "AWS_", "COGNITO_", "JWT_"))
    }
    return {**kept, **more}


def artcafe(*words: str) -> list[str]:
    """The command line of `artcafe …`."""
    return [sys.executable, "-m", "artcafe.cli.main", *words]


@dataclass
class RunningPlatform:
    """A platform that answers. `url` is http://…; `data_dir` is where it keeps everything."""

    url: str
    data_dir: Path
    process: Preloaded
    log: Path

    @property
    def ws(self) -> str:
        """The address agents dial."""
        return self.url.replace("http://", "ws://", 1)

    def token(self, **wanted: str) -> str:
        """An access token of the local issuer: the first user's, or of a role in a tenant."""
        secret = (self.data_dir / "issuer" / "secret").read_text().strip()
        answer = ask(self.url, "/local/token", secret, **wanted)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def rest(self, tenant: str | None = None, token: str | None = None) -> httpx.Client:
        """A client of the REST API, signed in; inside a tenant when one is named."""
        headers = {"authorization": f"Bearer {token or self.token()}"}
        if tenant is not None:
            headers["x-tenant-id"] = tenant
        return httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=15.0)

    def make_tenant(self, tenant: str, **fields: Any) -> None:
        """A tenant owned by the first user."""
        with self.rest() as rest:
            answer = rest.post("/tenants", json={"id": tenant, "name": tenant, **fields})
            assert answer.status_code == 201, answer.text

    def make_agent(self, tenant: str, agent: str, key: Path) -> dict[str, Any]:
        """An agent with the public half of an OpenSSH key file."""
        with self.rest(tenant) as rest:
            public = Path(f"{key}.pub").read_text()
            answer = rest.post("/agents", json={"id": agent, "name": agent, "public_key": public})
            assert answer.status_code == 201, answer.text
            made: dict[str, Any] = answer.json()["agent"]
            return made

    def stop(self, kind: signal.Signals = signal.SIGTERM) -> int:
        """Stop it and wait; the exit code."""
        self.process.send_signal(kind)
        return self.process.wait(STOP_SECONDS)


@contextmanager
def running_platform(
    data_dir: Path,
    *words: str,
    command: str = "up",
    settings: Mapping[str, str] | None = None,
    when: Callable[[Preloaded], None] = lambda _: None,
) -> Iterator[RunningPlatform]:
    """`artcafe up` on a free port; it is stopped at the end, however the test ends. `when` is called with the
    process before it is waited for."""
    data_dir.mkdir(parents=True, exist_ok=True)
    log = data_dir / f"{command}-{secrets.token_hex(4)}.log"
    with log.open("wb") as out:
        process = Preloaded(
            [command, "--port", "0", "--data-dir", str(data_dir), *words],
            environment(**(settings or {})),
            out,
        )
    try:
        when(process)
        deadline = time.monotonic() + START_SECONDS
        while (said := _UP.search(log.read_text())) is None:
            assert process.poll() is None, f"artcafe {command} ended:\n{log.read_text()}"
            assert time.monotonic() < deadline, f"artcafe {command} does not come up:\n{log.read_text()}"
            time.sleep(0.02)
        yield RunningPlatform(said[1], data_dir, process, log)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
