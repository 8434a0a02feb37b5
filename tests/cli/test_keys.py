"""`artcafe keys`."""

import json
from pathlib import Path

import pytest

from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import RestStub
from tests.kit.ssh_keys import make_key

FIRST, SECOND, OTHER = "SHA256:abc/1+", "SHA256:abc/2+", "SHA256:xyz"


@pytest.fixture(autouse=True)
def planner(stub: RestStub) -> None:
    stub.add_agent("planner", FIRST, SECOND, OTHER)


def test_keys_are_listed(artcafe: CommandLine) -> None:
    table = artcafe("keys", "list", "planner").stdout
    rows = json.loads(artcafe("keys", "list", "planner", "--json").stdout)

    assert all(fingerprint in table for fingerprint in (FIRST, SECOND, OTHER))
    assert [row["fingerprint"] for row in rows] == [FIRST, SECOND, OTHER]


def test_a_key_is_added(artcafe: CommandLine, stub: RestStub, tmp_path: Path) -> None:
    path = f"{make_key(tmp_path)}.pub"

    result = artcafe("keys", "add", "planner", path)

    assert stub.last().body == {"public_key": Path(path).read_text().strip()}
    assert "SHA256:new" in result.stdout


@pytest.mark.parametrize("key", [OTHER, "SHA256:x", "x", "xyz"])
def test_a_key_is_revoked_by_its_beginning(artcafe: CommandLine, stub: RestStub, key: str) -> None:
    result = artcafe("keys", "revoke", "planner", key, "--yes")

    assert result.stdout == f"{OTHER} is revoked.\n"
    assert stub.last().path == "/api/v1/agents/planner/keys/xyz"
    assert stub.last().body == {"status": "revoked"}


def test_a_whole_fingerprint_is_found_by_its_id_in_the_url(artcafe: CommandLine, stub: RestStub) -> None:
    result = artcafe("keys", "remove", "planner", SECOND, "--json", "--yes")

    assert json.loads(result.stdout) == {"id": "abc_2-", "fingerprint": SECOND, "deleted": True}
    assert (stub.last().method, stub.last().path) == ("DELETE", "/api/v1/agents/planner/keys/abc_2-")
    assert [key["fingerprint"] for key in stub.keys["planner"]] == [FIRST, OTHER]


@pytest.mark.parametrize(
    ("key", "code", "words"),
    [
        ("abc", 2, "2 keys begin so"),
        ("", 2, "give some of the fingerprint"),
        ("SHA256:", 2, "give some of the fingerprint"),
        ("q", 1, "no such key"),
        ("ABC", 1, "no such key"),
    ],
)
@pytest.mark.parametrize("verb", ["revoke", "remove"])
def test_a_key_that_is_not_meant_clearly_is_left_alone(
    artcafe: CommandLine, stub: RestStub, verb: str, key: str, code: int, words: str
) -> None:
    result = artcafe("keys", verb, "planner", key, "--yes")

    assert result.exit_code == code
    assert words in result.stderr
    assert [asked.method for asked in stub.asked] == ["POST", "POST", "GET"]


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        ("\ufeffssh-ed25519 AAAA x\r\n".encode(), "ssh-ed25519 AAAA x"),
        ("ssh-ed25519 AAAA Zoë@büro".encode(), "ssh-ed25519 AAAA Zoë@büro"),
        ("ssh-ed25519\tAAAA\tbot 🤖\n".encode(), "ssh-ed25519\tAAAA\tbot 🤖"),
        ("ssh-ed25519 AAAA b\u00fcro\r\n".encode("cp1252"), "ssh-ed25519 AAAA b\ufffdro"),
        ("\ufeffssh-ed25519 AAAA x\r\n".encode("utf-16-le"), "ssh-ed25519 AAAA x"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", None),
    ],
    ids=["mark", "umlaut", "tabs", "code page", "powershell", "pem"],
)
def test_a_public_key_is_read_as_tools_write_it(
    artcafe: CommandLine, stub: RestStub, tmp_path: Path, data: bytes, sent: str | None
) -> None:
    stub.add_agent("planner", "SHA256:old")
    path = tmp_path / "key.pub"
    path.write_bytes(data)

    result = artcafe("keys", "add", "planner", path)

    assert result.exit_code == 0, result.stderr
    assert stub.last().body == {"public_key": sent or data.decode().strip()}


def test_a_public_key_may_stand_on_the_command_line(artcafe: CommandLine, stub: RestStub) -> None:
    stub.add_agent("planner", "SHA256:old")

    assert artcafe("keys", "add", "planner", "ssh-ed25519 AAAA x").exit_code == 0
    assert stub.last().body == {"public_key": "ssh-ed25519 AAAA x"}


@pytest.mark.parametrize(
    "secret",
    [
        "-----BEGIN OPENSSH PRIVATE KEY-----\nsecretword\n-----END OPENSSH PRIVATE KEY-----",
        "PuTTY-User-Key-File-3: ssh-ed25519\nsecretword",
        "b3BlbnNzaC1rZXktdjEsecretword",
    ],
    ids=["openssh", "putty", "base64 alone"],
)
def test_a_private_key_that_was_pasted_goes_nowhere_and_is_not_repeated(
    artcafe: CommandLine, stub: RestStub, tmp_path: Path, secret: str
) -> None:
    path = tmp_path / "key"
    path.write_text(secret)

    for given in (secret, path):
        result = artcafe("keys", "add", "planner", given)
        assert result.exit_code == 2
        assert "private key" in result.stderr
        assert "secretword" not in result.stdout + result.stderr
    assert stub.asked == []
