"""What arguments hold."""

from pathlib import Path

import click
import pytest

from artcafe.cli.parameters import JsonFile, JsonText, PublicKeyFile, changes, given, with_options
from tests.kit.ssh_keys import make_key


@pytest.mark.parametrize(
    ("text", "value"),
    [('{"n": [1, null]}', {"n": [1, None]}), ('"ü"', "ü"), ("12345678901234567890", 12345678901234567890)],
)
def test_json_is_read(text: str, value: object) -> None:
    assert JsonText().convert(text, None, None) == value


@pytest.mark.parametrize(
    "text", ["", "hello", "{'a': 1}", "NaN", "1e999", '"\\ud800"', "[1] 2", "\udcff", "[" * 9999]
)
def test_what_the_platform_would_not_read_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="not JSON"):
        JsonText().convert(text, None, None)


@pytest.mark.parametrize("text", ["1", "[]", "null", '"{}"'])
def test_an_object_is_asked_for_where_it_must_be_one(text: str) -> None:
    with pytest.raises(click.BadParameter, match="JSON object"):
        JsonText(mapping=True).convert(text, None, None)


def test_a_public_key_is_read_whole(tmp_path: Path) -> None:
    path = make_key(tmp_path)

    line = PublicKeyFile().convert(f"{path}.pub", None, None)

    assert line == Path(f"{path}.pub").read_text().strip()


def test_a_private_key_never_leaves(tmp_path: Path) -> None:
    with pytest.raises(click.BadParameter, match="private key") as refused:
        PublicKeyFile().convert(str(make_key(tmp_path)), None, None)

    assert "BEGIN" not in refused.value.message


@pytest.mark.parametrize(
    "content", [b"", b"ssh-ed25519", b"ssh-ed25519 AAAA\nssh-ed25519 BBBB", b"\xff\xfe k"]
)
def test_what_is_no_public_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.pub"
    path.write_bytes(content)

    with pytest.raises(click.BadParameter, match="not a public key"):
        PublicKeyFile().convert(str(path), None, None)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(click.BadParameter, match=r"none\.pub: No such file"):
        PublicKeyFile().convert(str(tmp_path / "none.pub"), None, None)


def test_only_what_was_given_is_sent() -> None:
    assert given({"a": None, "b": False, "c": ""}) == {"b": False, "c": ""}


def test_json_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes('{"ü": 1}'.encode())

    assert JsonFile(mapping=True).convert(str(path), None, None) == {"ü": 1}


@pytest.mark.parametrize(
    ("content", "words"), [(b"[1]", "not a JSON object"), (b"\xff", "not JSON"), (None, "No such")]
)
def test_a_file_without_json_is_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(click.BadParameter, match=words):
        JsonFile(mapping=True).convert(str(path), None, None)


def test_changes_are_what_was_given_and_what_is_cleared() -> None:
    assert changes({"a": 1, "b": None, "c": False}, ["b"]) == {"a": 1, "c": False, "b": None}


@pytest.mark.parametrize(("fields", "clear"), [({}, []), ({"a": None}, []), ({"a": 1}, ["a"])])
def test_changes_that_are_none_are_wrong_usage(fields: dict[str, object], clear: list[str]) -> None:
    with pytest.raises(click.UsageError):
        changes(fields, clear)


def test_options_stand_in_the_help_as_they_were_listed() -> None:
    @click.command()
    @with_options([click.option("--zebra"), click.option("--ape")])
    def command(**_: str | None) -> None:
        """Nothing."""

    assert [parameter.name for parameter in command.params] == ["zebra", "ape"]
