"""Parameter types: arguments are validated before any request is sent."""

import json
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from artcafe.cli.text import plain
from artcafe.wire.ssh import is_private_key

_PRIVATE = "this is a private key, which stays where it is; give the public one, the .pub file"
_KEY_STARTS = ("\ufeff", "ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-", "-----BEGIN", "---- BEGIN")

F = TypeVar("F", bound=Callable[..., Any])


def with_options(options: Sequence[Callable[[Any], Any]]) -> Callable[[F], F]:
    """A decorator that gives a command these options, in the order of its help."""

    def give(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return give


def home_path(path: Path) -> Path:
    """The path with a home directory in place of its `~`. Raises ClickException where there is none."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        message = f"there is no home directory for {plain(str(path))}; write the whole path"
        raise click.ClickException(message) from error


def given(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that were given: an option that was left out is None."""
    return {name: value for name, value in fields.items() if value is not None}


def changes(fields: dict[str, Any], clear: Collection[str] = ()) -> dict[str, Any]:
    """The fields that were given, and None for those to clear.

    Raises UsageError for one that is both, and when there is none at all.
    """
    named = given(fields)
    for name in clear:
        if name in named:
            raise click.UsageError(f"{name} is given and cleared at once")
    if not named and not clear:
        raise click.UsageError("nothing to change: name a field, such as --name")
    return named | dict.fromkeys(clear)


def _has_doubles(text: bytes) -> bool:
    """Whether some object in this JSON has a name twice."""
    found = False

    def count(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal found
        read = dict(pairs)
        found = found or len(read) != len(pairs)
        return read

    json.loads(text, object_pairs_hook=count)
    return found


class JsonText(click.ParamType[Any]):
    """A JSON value, or `-` for one that is read from standard input. `mapping` asks for an object.

    It is read as the platform will read it: NaN and numbers out of range are none, and no object has a
    name twice.
    """

    name = "json"

    def __init__(self, *, mapping: bool = False) -> None:
        self.mapping = mapping

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse it. Raises BadParameter."""
        if not isinstance(value, str):
            return value
        text = self.read(value, param, ctx)
        try:
            parsed = msgspec.json.decode(text)
        except (ValueError, RecursionError):  # Bytes that are not UTF-8 are a ValueError, too.
            self.fail("this is not JSON; a text needs its quotes, as in '\"hello\"'", param, ctx)
        if _has_doubles(text):
            self.fail("a name stands twice in an object", param, ctx)
        if self.mapping and not isinstance(parsed, dict):
            self.fail("this is not a JSON object, as in '{\"n\": 1}'", param, ctx)
        return parsed

    def read(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """The text that is meant."""
        return sys.stdin.buffer.read() if value == "-" else value.encode("utf-8", "surrogateescape")


class JsonFile(JsonText):
    """The path of a file with a JSON value in it, or `-` for standard input."""

    name = "file.json"

    def read(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """The text of the file. Raises BadParameter."""
        if value == "-":
            return super().read(value, param, ctx)
        path = home_path(Path(value))
        try:
            return path.read_bytes()
        except OSError as error:
            self.fail(f"{path}: {error.strerror}", param, ctx)


class PublicKeyFile(click.ParamType[str]):
    """The path of a public key, or the key itself; converted to its text. A private key never leaves here,
    and no key is repeated in a message."""

    name = "file.pub"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read it. Raises BadParameter."""
        text = str(value)
        if is_private_key(text):
            self.fail(_PRIVATE, param, ctx)
        if not text.strip().startswith(_KEY_STARTS):
            text = self._read(home_path(Path(text)), param, ctx)
        if is_private_key(text):
            self.fail(_PRIVATE, param, ctx)
        text = text.strip().removeprefix("\ufeff")
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        if len(text.split()) < 2 or (len(lines) > 1 and not lines[0].startswith("----")):
            self.fail("this is not a public key: one line, as in 'ssh-ed25519 AAAA… comment'", param, ctx)
        return text

    def _read(self, path: Path, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text of the file. Comments may be in any code page."""
        try:
            data = path.read_bytes()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "this is no path"
            self.fail(f"{path}: {reason}", param, ctx)
        if b"PRIVATE KEY" in data:
            self.fail(_PRIVATE, param, ctx)
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):  # What PowerShell's `>` writes.
            return data.decode("utf-16", "replace")
        if b"\0" in data:
            self.fail("this is not a public key", param, ctx)
        return data.decode("utf-8", "replace")
