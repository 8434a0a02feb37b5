"""The reference of the SDK says what the code says."""

from pathlib import Path

import pytest

import artcafe
from artcafe import reference
from tests.kit.tree import ROOT

PAGES = ROOT / "docs" / "reference"


@pytest.mark.parametrize("name", reference.pages())
def test_a_page_is_current(name: str) -> None:
    assert (PAGES / name).read_text() == reference.pages()[name], "run `make docs`"


def test_there_is_no_other_page() -> None:
    assert {path.name for path in PAGES.iterdir()} == set(reference.pages())


def test_everything_that_is_exported_has_its_place() -> None:
    """But for what has a page of its own kind: codes, REST, dashboards, signers."""
    elsewhere = {"Code", "Dashboard", "KeyFile", "Rest", "Signer", "SignerError", "SshAgent"}
    text = "".join(reference.pages().values())
    assert {name for name in artcafe.__all__ if f"\n## {name}\n" not in text} == elsewhere


def test_a_call_has_its_signature_and_the_words_of_its_docstring() -> None:
    page = reference.pages()["client.md"]
    assert "### Client.request\n\n```python\nasync def request(\n    subject: str,\n    data: Any,\n" in page
    assert "NoRespondersError where\nnobody could answer" in page
    assert "### Client.connected\n\nWhether it is connected" in page
    assert "_session" not in page
    assert "### Subscription.push" not in page


def test_nothing_of_this_process_stands_in_a_page() -> None:
    text = "".join(reference.pages().values())
    for strange in (" at 0x", "<class", "<built-in", "<function", "artcafe.client.", "typing."):
        assert strange not in text


def test_the_command_writes_what_is_stale_and_checks_without_writing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reference.main([str(tmp_path), "--check"]) == 1
    assert list(tmp_path.iterdir()) == []
    assert reference.main([str(tmp_path)]) == 0
    assert reference.main([str(tmp_path), "--check"]) == 0
    (tmp_path / "agent.md").write_text("stale")
    capsys.readouterr()
    assert reference.main([str(tmp_path), "--check"]) == 1
    assert "agent.md is not current" in capsys.readouterr().out
    assert "client.md" not in capsys.readouterr().out
