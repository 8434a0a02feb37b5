"""The options for logging in as an agent (tenant, id, key), shared by the commands that talk."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from artcafe.cli.connection import Target
from artcafe.cli.parameters import home_path, with_options
from artcafe.cli.text import plain
from artcafe.client.client import Client
from artcafe.client.signer import KeyFile, PassphraseNeededError, Signer, SignerError, SshAgent

P = ParamSpec("P")
R = TypeVar("R")

_FINGERPRINT = "SHA256:"


@dataclass(frozen=True, slots=True)
class AgentLoginOptions:
    """The parsed options. `socket` is the address of the ssh-agent that signs, None without one."""

    agent: str | None
    key: str | None
    socket: str | None

    def client(self, connection: Target) -> Client:
        """A client that is not connected yet. May ask for the key's passphrase.

        Raises UsageError when something is not said, ClickException when nothing listens or the
        key cannot be used.
        """
        if self.agent is None:
            raise click.UsageError("an agent logs in: give --agent")
        tenant = connection.named_tenant()
        signer = self._signer()
        connection.knock()
        return Client(connection.url, tenant=tenant, agent=self.agent, key=signer)

    def _signer(self) -> Signer:
        try:
            if self.socket is not None:
                return SshAgent(self.socket, self.key)
            if self.key is None:
                raise click.UsageError("an agent proves its key: give --key FILE, or --ssh-agent")
            return _key_file(home_path(Path(self.key)))
        except SignerError as error:
            raise click.ClickException(plain(str(error))) from error


def _key_file(path: Path) -> KeyFile:
    try:
        return KeyFile(path)
    except PassphraseNeededError:
        passphrase = click.prompt(f"Passphrase of {plain(str(path))}", hide_input=True, err=True)
        return KeyFile(path, passphrase.encode())


_OPTIONS = (
    click.option(
        "--agent", "-a", metavar="ID", envvar="ARTCAFE_AGENT", show_envvar=True, help="The agent's id."
    ),
    click.option(
        "--key",
        "-k",
        envvar="ARTCAFE_KEY",
        show_envvar=True,
        metavar="FILE",
        help="Its private key; with --ssh-agent the fingerprint (SHA256:…) of the key to use.",
    ),
    click.option("--ssh-agent", is_flag=True, help="Sign with a key that the running ssh-agent keeps."),
    click.option("--ssh-auth-sock", envvar="SSH_AUTH_SOCK", hidden=True),
)


def logs_in(command: Callable[Concatenate[AgentLoginOptions, P], R]) -> Callable[..., R]:
    """Give a command the options of an agent's login; it gets an AgentLogin in front."""

    @functools.wraps(command)
    def logged_in(
        *args: Any,
        agent: str | None,
        key: str | None,
        ssh_agent: bool,
        ssh_auth_sock: str | None,
        **rest: Any,
    ) -> R:
        if ssh_agent and ssh_auth_sock is None:
            raise click.UsageError("no ssh-agent is running here: SSH_AUTH_SOCK is not set")
        if ssh_agent and key is not None and not key.startswith(_FINGERPRINT):
            raise click.UsageError("with --ssh-agent, --key is a fingerprint: SHA256:…")
        login = AgentLoginOptions(agent, key, ssh_auth_sock if ssh_agent else None)
        return command(login, *args, **rest)

    return with_options(_OPTIONS)(logged_in)
