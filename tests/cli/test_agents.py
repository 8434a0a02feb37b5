"""`artcafe agents`."""

import json
import stat
from pathlib import Path

import pytest

from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import TAG, RestStub, problem
from tests.kit.ssh_keys import make_key


def test_an_agent_is_made_with_its_public_key(artcafe: CommandLine, stub: RestStub, tmp_path: Path) -> None:
    key = make_key(tmp_path)
    options = ["--id", "planner", "--type", "llm", "--capability", "travel", "--capability", "maps"]

    result = artcafe("agents", "create", "Planner", *options, "--key", f"{key}.pub", "-t", "acme")

    assert result.exit_code == 0, result.stderr
    assert stub.last().body == {
        "id": "planner",
        "name": "Planner",
        "type": "llm",
        "public_key": Path(f"{key}.pub").read_text().strip(),
        "capabilities": ["travel", "maps"],
    }
    assert "capabilities     travel, maps\n" in result.stdout
    assert "PRIVATE KEY" not in result.stdout


def test_a_private_key_is_not_sent(artcafe: CommandLine, stub: RestStub, tmp_path: Path) -> None:
    result = artcafe("agents", "create", "planner", "--key", make_key(tmp_path))

    assert result.exit_code == 2
    assert "private key" in result.stderr
    assert stub.asked == []


def test_a_key_that_the_platform_made_is_shown_once(artcafe: CommandLine) -> None:
    result = artcafe("agents", "create", "planner")

    assert result.stdout.count("-----BEGIN PRIVATE KEY-----") == 1
    assert result.stdout.endswith("-----END PRIVATE KEY-----\n")
    assert "save it" in result.stderr


def test_a_key_that_the_platform_made_goes_into_a_file(artcafe: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "planner.key"

    result = artcafe("agents", "create", "planner", "--key-out", path)

    assert result.exit_code == 0, result.stderr
    assert path.read_text().startswith("-----BEGIN PRIVATE KEY-----\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "PRIVATE KEY" not in result.stdout + result.stderr
    assert str(path) in result.stderr
    assert (tmp_path / "planner.key.pub").read_text() == "ssh-ed25519 AAAA planner.key\n"


def test_as_json_the_key_is_in_the_file_alone(artcafe: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "planner.key"

    result = artcafe("agents", "create", "planner", "--key-out", path, "--json")

    made = json.loads(result.stdout)
    assert made["private_key_file"] == str(path)
    assert "private_key" not in made
    assert result.stderr == ""


def test_a_file_that_exists_stops_it_before_anything_is_made(
    artcafe: CommandLine, stub: RestStub, tmp_path: Path
) -> None:
    path = tmp_path / "planner.key"
    path.write_text("mine")

    result = artcafe("agents", "create", "planner", "--key-out", path)

    assert (result.exit_code, result.stderr) == (1, f"Error: {path} exists already; nothing was done\n")
    assert path.read_text() == "mine"
    assert stub.asked == []


def test_a_public_file_that_exists_stops_it_too(artcafe: CommandLine, stub: RestStub, tmp_path: Path) -> None:
    public = tmp_path / "planner.key.pub"
    public.write_text("mine")

    result = artcafe("agents", "create", "planner", "--key-out", tmp_path / "planner.key")

    assert (result.exit_code, public.read_text()) == (1, "mine")
    assert [path.name for path in tmp_path.glob("planner*")] == ["planner.key.pub"]
    assert stub.asked == []


def test_an_rsa_key_is_made_when_it_is_asked_for(
    artcafe: CommandLine, stub: RestStub, tmp_path: Path
) -> None:
    assert artcafe("agents", "create", "planner", "--key-type", "rsa").exit_code == 0
    assert stub.last().body == {"name": "planner", "key_type": "rsa"}
    public = make_key(tmp_path).with_name("ed25519.pub")
    assert artcafe("agents", "create", "p", "--key-type", "rsa", "--key", public).exit_code == 2


def test_a_refusal_leaves_no_file(artcafe: CommandLine, stub: RestStub, tmp_path: Path) -> None:
    stub.answers["POST", "/api/v1/agents"] = problem(402, "quota_exceeded", "The plan has 3 agents.")

    result = artcafe("agents", "create", "planner", "--key-out", tmp_path / "planner.key")

    assert (result.exit_code, result.stderr) == (1, "Error: The plan has 3 agents.\n")
    assert list(tmp_path.glob("planner*")) == []


def test_two_sources_of_a_key_are_wrong_usage(artcafe: CommandLine, tmp_path: Path) -> None:
    key = make_key(tmp_path)

    result = artcafe("agents", "create", "planner", "--key", f"{key}.pub", "--key-out", tmp_path / "out")

    assert result.exit_code == 2


def test_all_pages_are_listed(artcafe: CommandLine, stub: RestStub) -> None:
    for name in ("planner", "researcher", "writer"):
        stub.add_agent(name, f"SHA256:{name}")

    table = artcafe("agents", "list", "--status", "offline").stdout
    rows = json.loads(artcafe("agents", "list", "--json").stdout)

    assert all(f"SHA256:{name}" in table for name in ("planner", "researcher", "writer"))
    assert [row["id"] for row in rows] == ["planner", "researcher", "writer"]
    assert rows[0]["capabilities"] == ["travel", "maps"]


@pytest.mark.parametrize(
    ("options", "body"),
    [
        (["--name", "P"], {"name": "P"}),
        (["--disable"], {"enabled": False}),
        (["--enable"], {"enabled": True}),
        (["--capability", "maps", "--metadata", "{}"], {"capabilities": ["maps"], "metadata": {}}),
    ],
)
def test_only_what_is_named_is_changed(
    artcafe: CommandLine, stub: RestStub, options: list[str], body: dict[str, object]
) -> None:
    stub.add_agent("planner")

    result = artcafe("agents", "update", "planner", *options, "--json")

    assert stub.last().body == body
    assert json.loads(result.stdout).items() >= body.items()


def test_nothing_to_change_is_wrong_usage(artcafe: CommandLine) -> None:
    assert artcafe("agents", "update", "planner").exit_code == 2


def test_one_is_shown_and_deleted(artcafe: CommandLine, stub: RestStub) -> None:
    stub.add_agent("planner")

    assert "Planner" in artcafe("agents", "show", "planner").stdout
    assert artcafe("agents", "delete", "planner", "-y").stdout == "The agent planner is gone.\n"
    assert stub.agents == {}

    result = artcafe("agents", "show", "planner")
    assert (result.exit_code, result.stderr) == (1, "Error: No such thing in this tenant.\n")


def test_a_list_is_narrowed_and_sorted(artcafe: CommandLine, stub: RestStub) -> None:
    words = ["--type", "llm", "--capability", "travel", "--tag", "eu", "--disabled", "-s", "plan"]

    result = artcafe("agents", "list", *words, "--order", "-created_at")

    assert stub.last().query == {
        "type": "llm",
        "capability": "travel",
        "tag": "eu",
        "enabled": "false",
        "q": "plan",
        "order": "-created_at",
    }
    assert result.stdout == "No such agents.\n"
    assert artcafe("agents", "list", "--order", "colour").exit_code == 2


def test_an_agent_is_made_with_tags_and_rules(artcafe: CommandLine, stub: RestStub) -> None:
    rules = [
        "--allow-publish",
        "a.>",
        "--deny-publish",
        "a.b",
        "--allow-subscribe",
        "c",
        "--deny-subscribe",
        "d",
    ]

    artcafe("agents", "create", "planner", "--tag", "eu", "--tag", "old", *rules, "--allow-publish", "b")

    assert stub.last().body == {
        "name": "planner",
        "key_type": "ed25519",
        "metadata": {"tags": ["eu", "old"]},
        "policy": {
            "publish": {"allow": ["a.>", "b"], "deny": ["a.b"]},
            "subscribe": {"allow": ["c"], "deny": ["d"]},
        },
    }


def test_a_policy_comes_from_a_file(artcafe: CommandLine, stub: RestStub, tmp_path: Path) -> None:
    policy = {"publish": {"allow": ["results.>"]}}
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(policy))

    artcafe("agents", "create", "planner", "--policy", path)
    assert stub.last().body == {"name": "planner", "policy": policy, "key_type": "ed25519"}
    artcafe("agents", "update", "planner", "--policy", "-", text='{"subscribe": {"deny": []}}')
    assert stub.last().body == {"policy": {"subscribe": {"deny": []}}}
    assert artcafe("agents", "create", "p", "--policy", path, "--deny-publish", "a").exit_code == 2
    assert artcafe("agents", "create", "p", "--policy", tmp_path / "none").exit_code == 2


def test_a_rule_is_put_into_the_policy_that_was_read(artcafe: CommandLine, stub: RestStub) -> None:
    stub.add_agent("planner")
    stub.agents["planner"]["policy"] = {"publish": {"allow": ["results.>"], "deny": []}, "subscribe": {}}
    stub.agents["planner"]["metadata"] = {"team": "x"}

    result = artcafe("agents", "update", "planner", "--deny-subscribe", "d", "--tag", "eu", "--name", "P")

    assert result.exit_code == 0, result.stderr
    assert stub.last().headers["if-match"] == TAG
    assert stub.last().body == {
        "name": "P",
        "metadata": {"team": "x", "tags": ["eu"]},
        "policy": {"publish": {"allow": ["results.>"], "deny": []}, "subscribe": {"deny": ["d"]}},
    }


def test_what_is_cleared_is_sent_empty(artcafe: CommandLine, stub: RestStub) -> None:
    stub.add_agent("planner")

    artcafe("agents", "update", "planner", "--clear", "capabilities", "--no-policy")

    assert stub.last().body == {"capabilities": [], "policy": {}}
    assert "if-match" not in stub.last().headers
    assert artcafe("agents", "update", "planner", "--clear", "tags", "--tag", "eu").exit_code == 2
