"""The import contracts of pyproject.toml hold, and each of them notices when it is broken.

A contract that cannot break guards nothing (a misspelt package is enough), so each is broken here
on purpose: one offending import at a time, in a copy of the package.
"""

import shutil
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kit.linter import Linter
from tests.kit.tree import ROOT, SOURCE, imports, modules

CONFIG: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS: list[dict[str, Any]] = CONFIG["tool"]["importlinter"]["contracts"]

BOTH_ENDS = "Client and server meet on the wire alone"
COMMANDS = "The command line runs the server, its store and seed, nothing more"
RING = "The server is a ring: adapters outside, core inside"
ADAPTERS = "Adapters see ports, not use cases"
WINGS = "The bus: the NATS protocol knows no accounts"
KEYS = "Accounts take keys and credentials of the NATS protocol, nothing else"
ONE_WAY = "The gateway in one direction"
ROOMS = "Rooms of the core do not import each other"
CYCLES = "No cycles between siblings"
PURE = "No I/O, clock or chance in wire, domain, ports and core"

BREAKS = [
    # (contract, module, what is written at its end; a module that does not exist is made)
    (BOTH_ENDS, "client/backoff.py", "import artcafe.server.domain.ids"),
    (BOTH_ENDS, "server/api/health.py", "import artcafe.client.backoff"),
    (BOTH_ENDS, "server/api/health.py", "from artcafe import Client"),
    (BOTH_ENDS, "extras.py", '"""A place without a place."""'),
    (COMMANDS, "cli/token.py", "import artcafe.server.app"),
    (COMMANDS, "cli/token.py", "from artcafe.server.domain.plan import PLANS"),
    (RING, "server/api/agents.py", "import artcafe.server.store.table"),
    (RING, "server/api/agents.py", "def later():\n    import artcafe.server.store.table"),
    (RING, "server/api/agents.py", "if TYPE_CHECKING:\n    import artcafe.server.store.table"),
    (RING, "server/gateway/fanout/hub.py", "import artcafe.server.settings"),
    (RING, "server/extras.py", '"""A room without a layer."""'),
    (ADAPTERS, "server/store/agents.py", "import artcafe.server.core.agents"),
    (ADAPTERS, "server/bus/nats/link.py", "import artcafe.server.core.presence"),
    (ADAPTERS, "server/identity/ssh.py", "import artcafe.server.core.login"),
    (ADAPTERS, "server/embedded/nats_server.py", "import artcafe.server.core.usage"),
    (WINGS, "server/bus/nats/parser.py", "import artcafe.server.bus.events"),
    (WINGS, "server/bus/accounts/cluster.py", "import artcafe.server.bus.events"),
    (WINGS, "server/bus/extras.py", '"""A part of the bus without a layer."""'),
    (KEYS, "server/bus/accounts/authority.py", "import artcafe.server.bus.nats.link"),
    (ONE_WAY, "server/gateway/staggered.py", "import artcafe.server.gateway.presence_publisher"),
    (ONE_WAY, "server/gateway/extras.py", '"""A part of the gateway without a layer."""'),
    (ROOMS, "server/core/agents.py", "import artcafe.server.core.channels"),
    (ROOMS, "server/core/agents.py", "def later():\n    import artcafe.server.core.channels"),
    (CYCLES, "server/store/table.py", "import artcafe.server.store.agents"),
    (PURE, "wire/frames.py", "import asyncio"),
    (PURE, "server/domain/rate.py", "import time"),
    (PURE, "server/ports/bus.py", "import logging"),
    (PURE, "server/core/usage.py", "from asyncio import sleep"),
    ("One door: nats", "server/gateway/fanout/hub.py", "import nats.errors"),
    ("One door: nats", "server/bus/nats/link.py", "import nats.errors"),
    ("One door: picows", "server/gateway/sessions/connection.py", "import picows"),
    ("One door: mangum", "server/app.py", "import mangum"),
    ("One door: sqlite3", "server/embedded/nats_server.py", "import sqlite3"),
    ("One door: jwt", "server/bus/accounts/operator.py", "import jwt"),
    ("One door: aiobotocore and botocore", "server/app.py", "import botocore.session"),
    ("One door: cachetools", "server/store/tenants.py", "import cachetools"),
    ("One door: opentelemetry", "server/telemetry/telemetry.py", "import opentelemetry.trace"),
    ("One door: prometheus_client", "server/main.py", "import prometheus_client.metrics_core"),
    ("One door: websockets", "client/link.py", "import websockets.exceptions"),
    ("One door: uvicorn and uvloop", "server/gateway/websocket/mount.py", "import uvicorn"),
    ("One door: uvicorn and uvloop", "server/app.py", "import uvloop"),
    ("One door: httptools", "server/edge/protocol.py", "import httptools"),
    ("One door: click and rich", "server/main.py", "import click"),
    ("One door: click and rich", "client/client.py", "import rich.console"),
    ("Few doors: httpx", "server/bus/accounts/authority.py", "import httpx"),
    ("Few doors: fastapi and starlette", "server/gateway/gateway.py", "import starlette.websockets"),
    ("Few doors: fastapi and starlette", "server/identity/oidc.py", "import fastapi"),
    ("One door: pydantic_settings", "server/app.py", "import pydantic_settings"),
    ("Few doors: pydantic", "server/store/item.py", "import pydantic"),
    ("Few doors: cryptography", "server/store/rules.py", "import cryptography.hazmat"),
]


class Copy:
    """A copy of the package to do harm to, and its judge."""

    def __init__(self, folder: Path, linter: Linter) -> None:
        self._folder = folder
        self._linter = linter

    def broken(self) -> set[str]:
        """The names of the contracts that do not hold in the copy; each of them must be judged."""
        verdicts = self._linter.judge()
        assert set(verdicts) == {contract["name"] for contract in CONTRACTS}
        return {name for name, kept in verdicts.items() if not kept}

    @contextmanager
    def harmed(self, module: str, text: str) -> Iterator[None]:
        """Write at the end of a module, for the time of the block."""
        path = self._folder / "artcafe" / module
        before = path.read_text() if path.exists() else None
        path.write_text(f"{before or ''}\n{text}\n")
        try:
            yield
        finally:
            if before is None:
                path.unlink()
            else:
                path.write_text(before)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(SOURCE, folder / "artcafe", ignore=shutil.ignore_patterns("__pycache__"))
    with Linter(folder, ROOT / "pyproject.toml") as linter:
        yield Copy(folder, linter)


def test_every_contract_holds(package: Copy) -> None:
    assert package.broken() == set()


@pytest.mark.parametrize(("contract", "module", "text"), BREAKS)
def test_an_offending_import_breaks_exactly_its_contract(
    package: Copy, contract: str, module: str, text: str
) -> None:
    with package.harmed(module, text):
        assert package.broken() == {contract}


def test_the_protocol_that_imports_accounts_breaks_the_layers_of_the_bus(package: Copy) -> None:
    """It is a cycle as well: the accounts take keys from the protocol."""
    with package.harmed("server/bus/nats/greeting.py", "import artcafe.server.bus.accounts.cluster"):
        assert package.broken() == {WINGS, CYCLES}


@pytest.mark.parametrize(
    ("module", "later"),
    [
        ("websocket/framing.py", "dialects.envelope"),
        ("dialects/envelope.py", "fanout.acknowledgements"),
        ("fanout/acknowledgements.py", "sessions.authorization"),
        ("sessions/authorization.py", "login.pending"),
        ("login/pending.py", "registry"),
        ("registry.py", "gateway"),
    ],
)
def test_a_part_of_the_gateway_that_imports_a_later_one_breaks_its_direction(
    package: Copy, module: str, later: str
) -> None:
    """It is a cycle as well wherever the later one imports the former."""
    with package.harmed(f"server/gateway/{module}", f"import artcafe.server.gateway.{later}"):
        assert package.broken() - {CYCLES} == {ONE_WAY}


def test_accounts_are_kept_from_everything_of_the_protocol_but_keys_and_credentials() -> None:
    [contract] = [each for each in CONTRACTS if each["name"] == KEYS]
    inside = [module.split("/") for module in modules() if module.startswith("server/bus/nats/")]
    # A folder is forbidden with all that is in it.
    parts = {"/".join(words[:4]).removesuffix(".py") + ".py" for words in inside}
    allowed = {f"server/bus/nats/{name}.py" for name in ("__init__", "credentials", "nkeys")}
    named = {
        name.removeprefix("artcafe.").replace(".", "/") + ".py" for name in contract["forbidden_modules"]
    }
    assert named == parts - allowed


def test_every_contract_is_broken_above() -> None:
    assert {contract for contract, _, _ in BREAKS} == {contract["name"] for contract in CONTRACTS}


def test_every_vendor_has_a_door() -> None:
    """A library that src imports is either behind a door or named here as a part of the language."""
    everywhere = {
        "msgspec"  # typed JSON without I/O: the wire, the records and the ports are made of it
    }
    behind_doors = {
        vendor
        for contract in CONTRACTS
        if contract["type"] == "protected"
        for vendor in contract["protected_modules"]
    }
    imported = {name.split(".")[0] for module in modules() for name in imports(module)}
    vendors = imported - set(sys.stdlib_module_names) - {"artcafe"}
    assert vendors <= behind_doors | everywhere


def test_no_contract_can_be_excused_in_silence() -> None:
    """What is ignored stands in pyproject.toml for the command line's two doors, and nowhere else."""
    excused = [contract["name"] for contract in CONTRACTS if "ignore_imports" in contract]
    assert excused == [COMMANDS]
    assert not any("exhaustive_ignores" in contract for contract in CONTRACTS)
