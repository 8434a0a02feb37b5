"""A store that moves: whole, once, and compared."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from artcafe.server import storage
from artcafe.server.process import SystemClock, new_id
from artcafe.server.settings import Settings, load
from artcafe.server.store import addresses as at
from artcafe.server.store.item import Delta, Put, StoreError
from artcafe.server.store.schema import VERSION
from artcafe.server.store.sqlite import SqliteStore
from tests.kit import dynoxide
from tests.kit.platform import environment
from tests.kit.processes import alive

ROWS = 1500


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in dynoxide.environment().items():
        monkeypatch.setenv(name, value)
    return load(data_dir=tmp_path)


@pytest.fixture
def table() -> str:
    return f"dynamodb:{asyncio.run(dynoxide.new_place()).table}"


def fill(path: Path, rows: int = ROWS) -> None:
    """A store with items, some of which expire or have expired, and counters."""

    async def work() -> None:
        clock = SystemClock()
        store = SqliteStore(path, clock=clock.now, new_rev=new_id)
        await store.open()
        for start in range(0, rows, 25):
            await store.transact(
                [Put(f"T#{n % 3}", f"A#{n:05}", {"n": n, "text": "ä" * 50}) for n in range(start, start + 25)]
            )
        await store.put(Put("T#0", "later", {}, expires=int(clock.now()) + 3600))
        await store.put(Put("T#0", "gone", {}, expires=int(clock.now()) - 3600))
        await store.incr([Delta("USE#0", f"{n}", n) for n in range(1, 40)])
        await store.close()

    asyncio.run(work())


def copy(settings: Settings, source: str, target: str, *, over: bool = False) -> storage.Sum:
    return storage.copy(settings, source, target, over=over, ignore_servers=False, tell=lambda _: None)


def test_there_and_back_it_is_the_same(settings: Settings, table: str, tmp_path: Path) -> None:
    fill(tmp_path / "store.sqlite")
    there = copy(settings, "sqlite", table)
    assert (there.items, there.counters) == (ROWS + 1, 39)
    back = copy(settings, table, f"sqlite:{tmp_path / 'back.sqlite'}")
    assert back == there

    async def held(path: Path) -> list[object]:
        store = SqliteStore(path, clock=SystemClock().now, new_rev=new_id)
        await store.open()
        try:
            later = await store.get("T#0", "later")
            return [later, await store.get("T#0", "A#00003"), await store.counters("USE#0")]
        finally:
            await store.close()

    assert asyncio.run(held(tmp_path / "back.sqlite")) == asyncio.run(held(tmp_path / "store.sqlite"))


def test_a_copy_that_was_killed_goes_on(settings: Settings, table: str, tmp_path: Path) -> None:
    fill(tmp_path / "store.sqlite", rows=20_000)
    words = ["store", "copy", "--data-dir", str(tmp_path), "--from", "sqlite", "--to", table]
    process = subprocess.Popen(
        [sys.executable, "-m", "artcafe.cli.main", *words],
        env=environment(**dynoxide.environment()),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while len(dynoxide.keys(table.partition(":")[2])) < 2000:
        assert alive(process.pid), "it was too quick to be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with pytest.raises(StoreError, match="half a copy"):
        copy(settings, f"sqlite:{tmp_path / 'store.sqlite'}", table)
    seen: list[storage.Progress] = []
    done = storage.copy(settings, "sqlite", table, over=False, ignore_servers=False, tell=seen.append)
    assert (done.items, done.counters) == (20_001, 39)
    assert seen[0].rows > 1000, "it went on where it was"
    assert ("I#COPY", "STATE") not in dynoxide.keys(table.partition(":")[2])


def test_a_source_that_changes_meanwhile_is_copied_again(
    settings: Settings, table: str, tmp_path: Path
) -> None:
    fill(tmp_path / "store.sqlite", rows=100)

    def tell(progress: storage.Progress) -> None:
        if progress.doing == "counting the source" and not (tmp_path / "done").exists():
            (tmp_path / "done").touch()
            subprocess.run([sys.executable, "-c", _CHANGE, str(tmp_path / "store.sqlite")], check=True)

    done = storage.copy(settings, "sqlite", table, over=False, ignore_servers=False, tell=tell)
    assert (tmp_path / "done").exists()
    assert copy(settings, table, f"sqlite:{tmp_path / 'back.sqlite'}") == done
    assert copy(settings, "sqlite", f"sqlite:{tmp_path / 'back.sqlite'}") == done


_CHANGE = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as db:
    db.execute("UPDATE counters SET n = n + 1")
"""


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        ("sqlite", "sqlite", "same place"),
        ("sqlite:/nowhere/store.sqlite", "sqlite", "There is no store"),
        ("sqlite", "postgres:x", "dynamodb:TABLE"),
        ("sqlite", "dynamodb:nowhere", "cannot be used"),
    ],
)
def test_copies_that_make_no_sense(
    settings: Settings, tmp_path: Path, source: str, target: str, says: str
) -> None:
    fill(tmp_path / "store.sqlite", rows=25)
    with pytest.raises(storage.FAILURES, match=says):
        copy(settings, source, target)


def test_a_target_that_holds_something_is_not_touched_unless_told(settings: Settings, tmp_path: Path) -> None:
    fill(tmp_path / "store.sqlite", rows=50)
    fill(tmp_path / "other.sqlite", rows=75)
    other = f"sqlite:{tmp_path / 'other.sqlite'}"
    with pytest.raises(storage.CopyError, match="--over"):
        copy(settings, "sqlite", other)
    assert copy(settings, "sqlite", other, over=True) == copy(settings, "sqlite", other)


# The table.


def test_the_table_is_made_once_and_what_the_engine_lacks_is_told(settings: Settings) -> None:
    named = settings.model_copy(update={"store": f"dynamodb:t{new_id()}"})
    for _ in range(2):
        warnings = storage.create(named)
        assert all("engine does not know" in warning for warning in warnings)
    copy_to = named.store
    fill(settings.data_dir / "store.sqlite", rows=25)
    assert copy(settings, "sqlite", copy_to).items == 26


def test_a_table_of_another_shape_is_refused(settings: Settings) -> None:
    name = f"t{new_id()}"
    dynoxide.plain_client().create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    with pytest.raises(StoreError, match="another one than pk and sk"):
        storage.create(settings.model_copy(update={"store": f"dynamodb:{name}"}))


def test_only_dynamodb_has_a_table(settings: Settings) -> None:
    with pytest.raises(ValueError, match="dynamodb:TABLE"):
        storage.create(settings)


def test_the_template_is_what_cloudformation_takes(settings: Settings, tmp_path: Path) -> None:
    text = storage.template(settings.model_copy(update={"store": "dynamodb:artcafe"}))
    path = tmp_path / "store.json"
    path.write_text(text)
    assert json.loads(text)["Resources"]["Store"]["Properties"]["TableName"] == "artcafe"
    assert lint(path) == (0, "")
    path.write_text(text.replace("PAY_PER_REQUEST", "FREE"))
    assert lint(path)[0] == 2


def test_the_template_of_the_function_is_one_too_and_allows_what_a_server_may() -> None:
    path = Path(__file__).parents[2] / "deploy/aws/lambda.json"
    assert lint(path) == (0, "")
    [policy] = json.loads(path.read_text())["Resources"]["Role"]["Properties"]["Policies"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert set(statement["Action"]) == actions("server-policy.json")


def lint(template: Path) -> tuple[int, str]:
    """What cfn-lint says of a template."""
    program = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run(
        [program, "--regions", "eu-central-1", "--", template], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


# What it takes.


def actions(policy: str) -> set[str]:
    document = json.loads((Path(__file__).parents[2] / "deploy/aws" / policy).read_text())
    return {action for statement in document["Statement"] for action in statement["Action"]}


def test_the_policies_allow_what_is_called_and_nothing_else(
    settings: Settings, table: str, tmp_path: Path
) -> None:
    """TransactWriteItems is allowed by its operations: there is no action of its name (IAM, DynamoDB)."""
    transactions = {"ConditionCheckItem", "DeleteItem", "PutItem", "UpdateItem"}
    assert called("store/dynamodb.py", "store/dynamodb_calls.py") - {"TransactWriteItems"} | transactions == {
        action.removeprefix("dynamodb:")
        for action in actions("server-policy.json") | {"dynamodb:Scan", "dynamodb:BatchWriteItem"}
    }
    made = called("store/dynamodb_table.py") - {"DescribeTable"}
    assert made | {"Scan", "BatchWriteItem"} == {
        action.removeprefix("dynamodb:") for action in actions("storage-policy.json")
    }


def called(*modules: str) -> set[str]:
    """The operations of DynamoDB that modules name, by their names in Python."""
    operations = dynoxide.plain_client().meta.method_to_api_mapping
    source = Path(storage.__file__).parent
    text = "".join((source / module).read_text() for module in modules)
    return {operation for method, operation in operations.items() if re.search(rf"\b{method}\b", text)}


def test_a_store_of_a_newer_release_is_not_copied(settings: Settings, tmp_path: Path) -> None:
    async def work() -> None:
        store = SqliteStore(tmp_path / "store.sqlite", clock=SystemClock().now, new_rev=new_id)
        await store.open()
        await store.put(Put(*at.SCHEMA, {"version": VERSION + 1, "least": VERSION + 1}))
        await store.close()

    asyncio.run(work())
    other = f"sqlite:{tmp_path / 'other.sqlite'}"
    fill(tmp_path / "other.sqlite", 25)

    for source, target in (("sqlite", other), (other, "sqlite")):
        with pytest.raises(StoreError, match="written by a newer release"):
            copy(settings, source, target, over=True)
