"""The command line against the platform, as a person uses it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.platform import RunningPlatform, artcafe, environment

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(platform: RunningPlatform, tmp_path: Path) -> Run:
    """`artcafe …` on the machine of the platform; it must succeed."""

    def command(*words: str, code: int = 0, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            artcafe(*words),
            input=stdin,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=60,
            check=False,
            env=environment(ARTCAFE_DATA_DIR=str(platform.data_dir)),
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return command


def test_from_a_tenant_to_a_message(
    platform: RunningPlatform, run: Run, tmp_path: Path, new_key: Callable[[], Path]
) -> None:
    name = f"cli-{os.urandom(4).hex()}"
    first, second = new_key(), new_key()
    created = json.loads(run("tenants", "create", name, "--id", name, "--json").stdout)
    assert created["tenant_id"] == name
    run("agents", "create", "planner", "--tenant", name, "--key", f"{first}.pub")
    [agent] = json.loads(run("agents", "list", "--tenant", name, "--json").stdout)
    assert (agent["id"], agent["status"]) == ("planner", "offline")
    run("keys", "add", "planner", f"{second}.pub", "--tenant", name)
    keys = json.loads(run("keys", "list", "planner", "--tenant", name, "--json").stdout)
    assert [key["status"] for key in keys] == ["active", "active"]

    listener = subprocess.Popen(
        artcafe("sub", "tasks", "-t", name, "-a", "planner", "-k", str(second), "--count", "2", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(ARTCAFE_DATA_DIR=str(platform.data_dir)),
    )
    assert listener.stderr is not None
    assert "Subscribed" in listener.stderr.readline()
    run("pub", "tasks", '{"n": 1}', "-t", name, "-a", "planner", "-k", str(first))
    run("channels", "create", "tasks", "-t", name)
    run("pub", "tasks", "-", "-t", name, stdin='{"n": 2}')
    out, _ = listener.communicate(timeout=60)
    assert listener.returncode == 0
    messages = [json.loads(line) for line in out.splitlines()]
    assert [message["data"] for message in messages] == [{"n": 1}, {"n": 2}]
    assert [message["from"] for message in messages] == ["planner", "u-local-owner"]

    run("keys", "revoke", "planner", keys[0]["fingerprint"], "-t", name)
    refused = run("pub", "tasks", "{}", "-t", name, "-a", "planner", "-k", str(first), code=1)
    assert len(refused.stderr.strip().splitlines()) == 1
    run("tenants", "delete", name, "--yes")
    gone = run("agents", "list", "-t", name, code=1)
    assert "not a member" in gone.stderr


def test_tokens_of_roles(platform: RunningPlatform, run: Run, tenant: str) -> None:
    viewer = run("token", "--tenant", tenant, "--role", "viewer").stdout.strip()
    with platform.rest(tenant, token=viewer) as rest:
        assert rest.get("/agents").status_code == 200
        assert rest.post("/agents", json={"name": "a"}).status_code == 403
    first = run("token").stdout.strip()
    with platform.rest(token=first) as rest:
        assert rest.post("/tenants", json={"name": f"{tenant} two"}).status_code == 201


def test_the_demo_on_the_running_platform(run: Run) -> None:
    shown = run("demo").stdout
    assert "3 questions, 3 right answers" in shown
    assert "starting one" not in shown


def test_the_demo_on_its_own(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "artcafe.cli.main", "demo"],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env=environment(ARTCAFE_DATA_DIR=str(tmp_path / "none"), HOME=str(tmp_path)),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 questions, 3 right answers" in done.stdout
    assert not (tmp_path / "none" / "run.json").exists()


def test_nothing_running_says_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run(
        artcafe("agents", "list", "--port", "1"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(ARTCAFE_DATA_DIR=str(tmp_path), ARTCAFE_TOKEN="x"),
    )
    assert done.returncode == 1
    assert "artcafe up" in done.stderr
