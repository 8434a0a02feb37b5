"""Generates an SSH key pair for an agent."""

import shutil
import subprocess
from pathlib import Path

import click
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from artcafe.cli.private_file import new_file, private_file
from artcafe.cli.text import plain


def make_key_pair(path: Path) -> str:
    """Write a new ed25519 key without passphrase to `path`, and give its public line.

    OpenSSH's own ssh-keygen makes it where there is one, since that is what people use. Raises
    ClickException when it cannot be made.
    """
    keygen = shutil.which("ssh-keygen")
    if keygen is None:
        return _make_here(path)
    command = [keygen, "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)]
    made = subprocess.run(  # noqa: S603 - no shell, and the path is one argument
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise click.ClickException(f"ssh-keygen made no key: {plain(made.stderr.strip())}")
    return path.with_name(f"{path.name}.pub").read_text(encoding="utf-8").strip()


def _make_here(path: Path) -> str:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    line = f"{public.decode()} {path.name}"
    with new_file(path.with_name(f"{path.name}.pub")) as save_public, private_file(path) as save:
        save(private.decode())
        save_public(f"{line}\n")
    return line
