"""Creates a new file with mode 0600."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import click

from artcafe.cli.parameters import home_path


def private_file(path: Path) -> AbstractContextManager[Callable[[str], None]]:
    """A new file that only its owner can read (new_file)."""
    return new_file(path, 0o600)


@contextmanager
def new_file(path: Path, mode: int = 0o644) -> Iterator[Callable[[str], None]]:
    """Make a file and give the function that fills it; it is removed when that is not called.

    Raises ClickException when the file exists already, which is never overwritten, or cannot be made.
    """
    path = home_path(path)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise click.ClickException(f"{path} exists already; nothing was done") from error
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}; nothing was done") from error
    saved = False
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:

        def save(text: str) -> None:
            nonlocal saved
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            saved = True

        try:
            yield save
        finally:
            if not saved:
                path.unlink(missing_ok=True)
