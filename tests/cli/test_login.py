"""`artcafe login`."""

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.responses import JSONResponse

from tests.kit.command_line import CommandLine
from tests.kit.oauth_issuer import OAuthIssuer, oauth_issuer, tokens
from tests.kit.rest_stub import RestStub, problem


@pytest.fixture
def server(stub: RestStub) -> Iterator[OAuthIssuer]:
    with oauth_issuer() as running:
        stub.answers["GET", "/api/v1/auth/config"] = JSONResponse(running.config())
        yield running


class Browser:
    """What is started as a browser writes the address down; this follows it, as a human would make it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, exit_code: int = 0) -> None:
        self.opened = folder / "opened"
        opener = folder / "xdg-open"
        write = f'echo "$1" > {self.opened}.new; mv {self.opened}.new {self.opened}'
        # Where no browser starts, the human needs a moment to open the address.
        lines = ["#!/bin/sh", write if exit_code == 0 else f"(sleep 0.3; {write}) &", f"exit {exit_code}", ""]
        opener.write_text("\n".join(lines))
        opener.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        self.pages: list[httpx.Response] = []

    def answers(self, issuer: OAuthIssuer, *answers: dict[str, str | None]) -> threading.Thread:
        """Bring these answers, with the right state and issuer unless they say otherwise."""

        def bring() -> None:
            while not self.opened.exists():
                threading.Event().wait(0.01)
            asked = httpx.URL(self.opened.read_text().strip()).params
            issuer.challenge = asked["code_challenge"]
            for answer in answers:
                said: dict[str, Any] = {"state": asked["state"], "iss": issuer.url, **answer}
                said = {name: value for name, value in said.items() if value is not None}
                self.pages.append(httpx.get(asked["redirect_uri"], params=said))

        thread = threading.Thread(target=bring)
        thread.start()
        return thread


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Browser:
    return Browser(tmp_path, monkeypatch)


@pytest.fixture
def artcafe(stub: RestStub, tmp_path: Path) -> CommandLine:
    """The command line on another machine: it has no secret."""
    return CommandLine(tmp_path, stub.url)


def test_other_commands_then_act_as_the_human(
    artcafe: CommandLine, stub: RestStub, server: OAuthIssuer, browser: Browser
) -> None:
    server.answers = [tokens("a.b.c")]
    human = browser.answers(server, {"code": "the-code"})
    result = artcafe("login")
    human.join()

    assert (result.exit_code, result.stdout) == (0, f"Signed in at {stub.url}.\n"), result.stderr
    assert server.forms[0][1]["code"] == "the-code"
    assert artcafe("tenants", "list").exit_code == 0
    assert stub.last().headers["authorization"] == "Bearer a.b.c"
    assert artcafe("tenants", "list", "--token", "x.y.z").exit_code == 0
    assert stub.last().headers["authorization"] == "Bearer x.y.z"
    held = (artcafe.data_dir / "sign-ins.json").read_text()
    assert "a.b.c" in held
    # As words: the random challenge in the address may hold such letters.
    assert not re.search(r"\b(a\.b\.c|r1)\b", result.output)


def test_another_pages_answer_changes_nothing(
    artcafe: CommandLine, server: OAuthIssuer, browser: Browser
) -> None:
    server.answers = [tokens("a.b.c")]
    human = browser.answers(
        server,
        {"code": "evil", "state": "guessed"},
        {"code": "evil", "state": None},
        {"code": "evil", "iss": "https://evil.example"},
        {"code": "evil", "iss": None},
        {"code": "good"},
    )
    result = artcafe("login")
    human.join()

    assert result.exit_code == 0, result.stderr
    assert [page.status_code for page in browser.pages] == [400, 400, 400, 400, 200]
    assert [form["code"] for _, form in server.forms] == ["good"]


@pytest.mark.parametrize(
    ("answer", "given", "words"),
    [
        ({"error": "access_denied"}, None, "You said no."),
        ({"error": "server_error"}, None, "The issuer refused: server_error."),
        ({"code": "used"}, (400, {"error": "invalid_grant"}), "The sign-in is over; run `artcafe login`."),
        ({"code": "c"}, (200, b"<html>"), "gave no usable answer."),
    ],
)
def test_what_the_issuer_refuses_is_said_and_nobody_is_signed_in(
    artcafe: CommandLine,
    server: OAuthIssuer,
    browser: Browser,
    answer: dict[str, str | None],
    given: tuple[int, Any] | None,
    words: str,
) -> None:
    server.answers = [given or tokens("a.b.c")]
    human = browser.answers(server, answer)
    result = artcafe("login")
    human.join()

    assert result.exit_code == 1
    assert result.stderr.endswith(f"{words}\n")
    assert not (artcafe.data_dir / "sign-ins.json").exists()


def test_nobody_signs_in(artcafe: CommandLine, server: OAuthIssuer) -> None:
    result = artcafe("login", "--no-browser", "--timeout", "0.1")

    assert result.exit_code == 1
    assert f"Sign in here:\n\n  {server.url}/authorize?" in result.stderr
    assert result.stderr.endswith("Error: nobody signed in within 0.1 seconds\n")


def test_without_a_browser_the_address_is_there_all_the_same(
    artcafe: CommandLine, server: OAuthIssuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b").mkdir()
    browser = Browser(tmp_path / "b", monkeypatch, exit_code=3)
    server.answers = [tokens("a.b.c")]
    human = browser.answers(server, {"code": "c"})
    result = artcafe("login", "--json")
    human.join()

    assert result.exit_code == 0, result.stderr
    assert "No browser could be started" in result.stderr
    assert '"expires_in": 3600' in result.stdout


def test_on_another_screen(artcafe: CommandLine, stub: RestStub, server: OAuthIssuer) -> None:
    begun = {
        "device_code": "d",
        "user_code": "BCDF-GHJK",
        "verification_uri": "https://i.example/device",
        "interval": 1,
    }
    server.answers = [(200, begun), tokens("a.b.c")]

    result = artcafe("login", "--device")

    assert result.exit_code == 0, result.stderr
    assert "Open  https://i.example/device\nand type  BCDF-GHJK\n" in result.stderr
    artcafe("tenants", "list")
    assert stub.last().headers["authorization"] == "Bearer a.b.c"


def test_a_port_that_is_taken_is_said(artcafe: CommandLine, stub: RestStub, server: OAuthIssuer) -> None:
    taken = httpx.URL(stub.url).port

    result = artcafe("login", "--no-browser", "--callback-port", taken)

    assert (result.exit_code, f"cannot listen on port {taken}" in result.stderr) == (1, True)


def test_a_platform_without_a_sign_in_by_browser(artcafe: CommandLine, stub: RestStub) -> None:
    stub.answers["GET", "/api/v1/auth/config"] = problem(404, "not_found", "Nothing is set.")

    result = artcafe("login")

    assert result.exit_code == 1
    assert "has no sign-in by browser; give --token" in result.stderr
