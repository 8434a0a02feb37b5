"""The command line against the platform, as a person uses it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kit import preloaded
from tests.kit.platform import RunningPlatform, artcafe, environment

Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def run(platform: RunningPlatform, tmp_path: Path) -> Run:
    """`artcafe …` on the machine of the platform; it must succeed."""

    def command(*words: str, code: int = 0, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        here = environment(ARTCAFE_DATA_DIR=str(platform.data_dir))
        done = preloaded.run(*words, env=here, said=stdin or "", cwd=tmp_path)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return command


@pytest.fixture
def start(platform: RunningPlatform) -> Iterator[Start]:
    """`artcafe …` in the background; it is killed at the end if it still runs."""
    begun: list[subprocess.Popen[str]] = []

    def command(*words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            artcafe(*words),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(ARTCAFE_DATA_DIR=str(platform.data_dir)),
        )
        begun.append(process)
        return process

    yield command
    for process in begun:
        process.kill()
        process.communicate()


def test_from_a_tenant_to_a_message(run: Run, start: Start, new_key: Callable[[], Path]) -> None:
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

    listener = start("sub", "tasks", "-t", name, "-a", "planner", "-k", str(second), "--count", "2", "--json")
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

    run("keys", "revoke", "planner", keys[0]["fingerprint"], "-t", name, "--yes")
    refused = run("pub", "tasks", "{}", "-t", name, "-a", "planner", "-k", str(first), code=1)
    assert len(refused.stderr.strip().splitlines()) == 1
    run("tenants", "delete", name, "--yes")
    gone = run("agents", "list", "-t", name, code=1)
    # For a moment it is being deleted, then it is gone.
    assert "being deleted" in gone.stderr or "not a member" in gone.stderr


def test_people_rules_and_what_became_of_it(
    platform: RunningPlatform, run: Run, start: Start, new_key: Callable[[], Path]
) -> None:
    name = f"cli-{os.urandom(4).hex()}"
    here = ("-t", name)
    run("tenants", "create", name, "--id", name, "--tier", "growth", "--primary-color", "#1a2b3c")
    changed = run("tenants", "update", name, "--clear", "primary_color", "--website", "http://h", "--json")
    assert json.loads(changed.stdout)["primary_color"] is None
    assert "max agents              10" in run("tenants", "show", name).stdout

    run("members", "add", "ada", "--role", "admin", *here)
    run("members", "update", "ada", "--role", "viewer", *here)
    members = json.loads(run("members", "list", "--json", *here).stdout)
    assert {member["user_id"]: member["role"] for member in members} == {
        "ada": "viewer",
        "local-owner": "owner",
    }
    run("members", "remove", "ada", "--yes", *here)
    invitation = run("invitations", "create", "--role", "member", *here).stdout.splitlines()[-1]
    [standing] = json.loads(run("invitations", "list", "--json", *here).stdout)
    assert invitation.split(".")[:2] == [name, standing["id"]]
    bob = platform.token(role="member")
    joined = json.loads(run("invitations", "accept", "-", "--json", "--token", bob, stdin=invitation).stdout)
    assert (joined["tenant_id"], joined["role"]) == (name, "member")
    run("invitations", "accept", invitation, "--token", bob, code=1)
    second = json.loads(run("invitations", "create", "--json", *here).stdout)["invitation"]["id"]
    run("invitations", "revoke", second, "--yes", *here)
    assert run("invitations", "list", *here).stdout == "No invitation stands open.\n"

    key = new_key()
    run(
        "agents",
        "create",
        "planner",
        "--key",
        f"{key}.pub",
        "--tag",
        "eu",
        "--allow-publish",
        "tasks.*",
        *here,
    )
    run("agents", "update", "planner", "--deny-publish", "tasks.secret", *here)
    [agent] = json.loads(run("agents", "list", "--tag", "eu", "--enabled", "--json", *here).stdout)
    assert agent["policy"]["publish"] == {"allow": ["tasks.*"], "deny": ["tasks.secret"]}
    assert run("agents", "list", "--tag", "us", *here).stdout == "No such agents.\n"
    run("channels", "create", "tasks", "--subject", "tasks.*", "--max-message-bytes", "9", *here)
    pub = ("-a", "planner", "-k", str(key), *here)
    assert "policy" in run("pub", "tasks.secret", "1", *pub, code=1).stderr
    run("pub", "tasks.new", '"0123456789"', *pub, code=1)
    run(
        "channels",
        "update",
        "tasks",
        "--clear",
        "max_message_bytes",
        "--subscriber",
        "planner",
        "--subscriber",
        "role:admin",
        *here,
    )

    watcher = start("watch", "--json", "--channel", "tasks", "--count", "4", *here)
    assert watcher.stderr is not None and watcher.stdout is not None
    assert "Watching" in watcher.stderr.readline()
    listener = start("sub", "tasks.*", "--count", "2", *pub)
    assert json.loads(watcher.stdout.readline())["type"] == "agent.online"
    assert listener.stderr is not None
    assert "Subscribed" in listener.stderr.readline()
    run("pub", "tasks.new", '"0123456789"', *pub)
    assert "name one of them" in run("channels", "publish", "tasks", "{}", *here, code=1).stderr
    run("channels", "publish", "tasks", "{}", "--subject", "tasks.old", "--as-system", *here)
    out, said = watcher.communicate(timeout=30)
    assert (watcher.returncode, listener.wait(30)) == (0, 0), said
    first, second, last = [json.loads(line) for line in out.splitlines()]
    assert [(event["topic"], event["from"]) for event in (first, second)] == [
        ("tasks.new", "planner"),
        ("tasks.old", "sys"),
    ]
    assert (last["type"], last["data"]["agent_id"]) == ("agent.offline", "planner")

    used = json.loads(run("usage", "--json", *here).stdout)
    assert used["totals"]["messages_count"] == 2
    assert re.search(r"^agents this month +1$", run("usage", "--billing", *here).stdout, re.MULTILINE)
    done = json.loads(run("audit", "--target", "planner", "--count", "1", "--json", *here).stdout)
    assert [(entry["action"], entry["actor"]) for entry in done] == [("agent.update", "local-owner")]
    assert "nothing to accept" in run("legal", "versions").stdout
    assert run("legal", "accepted", *here).stdout == "Nothing was accepted.\n"
    assert run("open").stdout.startswith(f"{platform.url}/console/\nsign-in code: ")
    run("tenants", "delete", name, "--yes")


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


def test_a_command_answers_requests(run: Run, start: Start, tenant: str, new_key: Callable[[], Path]) -> None:
    login = {}
    for agent in ("asker", "worker"):
        key = new_key()
        run("agents", "create", agent, "-t", tenant, "--key", f"{key}.pub")
        login[agent] = ["-t", tenant, "-a", agent, "-k", str(key)]
    command = (
        'read data; if [ "$data" = 0 ]; then echo "no zero" >&2; exit 3; fi; '
        'echo "[$data, \\"$ARTCAFE_FROM\\"]"'
    )
    worker = start("reply", "tasks.*", "--command", command, "--count", "3", *login["worker"])
    assert worker.stderr is not None
    assert "Answering" in worker.stderr.readline()

    assert run("request", "tasks.new", "7", *login["asker"]).stdout == '[7, "asker"]\n'
    assert json.loads(run("request", "tasks.new", "8", "--json", *login["asker"]).stdout) == [8, "asker"]
    assert "no zero" in run("request", "tasks.new", "0", *login["asker"], code=1).stderr
    assert worker.wait(60) == 0
    assert "listens" in run("request", "tasks.new", "1", *login["asker"], code=1).stderr
