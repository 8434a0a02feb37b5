"""`artcafe`: the table of commands, and the mapping of errors to exit codes."""

import errno
from typing import Any

import click

from artcafe.cli.lazy import LazyCommand, LazyGroup
from artcafe.cli.streams import finish, prepare
from artcafe.cli.text import plain
from artcafe.wire.errors import ArtcafeError

SECTIONS = {
    "Run": {
        "up": LazyCommand("artcafe.cli.up:up", "Run the whole platform on this machine."),
        "demo": LazyCommand("artcafe.cli.demo:demo", "Show two agents talking, from nothing, in seconds."),
        "serve": LazyCommand("artcafe.cli.serve:serve", "Run one server of an installation."),
        "nats-config": LazyCommand(
            "artcafe.cli.nats_config:nats_config", "Write the configuration of nats-server."
        ),
        "operator": LazyCommand(
            "artcafe.cli.operator:operator", "For who runs it: all tenants, and the seed of all keys."
        ),
        "nginx-config": LazyCommand(
            "artcafe.cli.nginx_config:nginx_config", "Write the configuration of nginx."
        ),
        "store": LazyCommand("artcafe.cli.store:store", "The store as a whole: create, copy."),
        "check-config": LazyCommand(
            "artcafe.cli.check_config:check_config", "Check the settings and show them."
        ),
    },
    "Manage": {
        "tenants": LazyCommand("artcafe.cli.tenants:tenants", "Tenants: list, create, show, update, delete."),
        "agents": LazyCommand("artcafe.cli.agents:agents", "Agents: list, create, show, update, delete."),
        "keys": LazyCommand("artcafe.cli.keys:keys", "Agents' SSH keys: list, add, revoke, remove."),
        "channels": LazyCommand(
            "artcafe.cli.channels:channels", "Channels: list, create, show, update, delete, publish."
        ),
        "queue": LazyCommand("artcafe.cli.queues:queue", "Queues: list, lag, delete; their dead letters."),
        "members": LazyCommand(
            "artcafe.cli.members:members", "A tenant's people: list, add, update, remove."
        ),
        "invitations": LazyCommand(
            "artcafe.cli.invitations:invitations", "Invitations: create, list, revoke, accept."
        ),
        "usage": LazyCommand("artcafe.cli.usage:usage", "Show what a tenant used, and its limits."),
        "audit": LazyCommand("artcafe.cli.audit:audit", "Show who changed what."),
        "legal": LazyCommand("artcafe.cli.legal:legal", "The operator's terms: versions, accepted, accept."),
        "login": LazyCommand("artcafe.cli.login:login", "Sign in with your browser."),
        "logout": LazyCommand("artcafe.cli.logout:logout", "Forget who is signed in."),
        "token": LazyCommand("artcafe.cli.token:token", "Get a token of the platform on this machine."),
    },
    "Talk": {
        "pub": LazyCommand("artcafe.cli.pub:pub", "Publish a message, as an agent or as yourself."),
        "inbox": LazyCommand("artcafe.cli.inbox:inbox", "Print what waits for an agent, and acknowledge it."),
        "sub": LazyCommand("artcafe.cli.sub:sub", "Print messages as they arrive, as an agent."),
        "request": LazyCommand("artcafe.cli.request:request", "Ask an agent and print what it replies."),
        "reply": LazyCommand("artcafe.cli.reply:reply", "Answer requests by a command."),
        "who": LazyCommand("artcafe.cli.who:who", "Print the agents that are online."),
        "watch": LazyCommand(
            "artcafe.cli.watch:watch", "Print who comes and goes, and every message, as yourself."
        ),
    },
    "Help": {
        "open": LazyCommand(
            "artcafe.cli.open:open_console", "Show where the web console is, and the API's page."
        ),
        "completion": LazyCommand(
            "artcafe.cli.completion:completion", "Print what completes commands in a shell."
        ),
    },
}

INTERRUPTED = 130
"""What a shell expects of a program that Ctrl-C ended: 128 and the signal's number."""


class Commands(LazyGroup):
    """The one place where errors become a line on stderr and an exit code: 1, or 2 for wrong usage.

    A reader that went away (`artcafe … | head`) is click's: it ends quietly with 1. An output that cannot be
    written, on a full disk for one, is a line like any other error.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ArtcafeError as error:
            raise click.ClickException(plain(error.message)) from error
        except KeyboardInterrupt as error:
            raise click.exceptions.Exit(INTERRUPTED) from error
        except UnicodeEncodeError as error:
            raise click.ClickException(f"this is no text in UTF-8: {plain(error.object)}") from error
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            place = "" if error.filename is None else f"{plain(str(error.filename))}: "
            raise click.ClickException(f"{place}{error.strerror or error}") from error


@click.group(
    cls=Commands,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`artcafe COMMAND --help` explains a command, with examples.",
)
@click.version_option(package_name="artcafe-pubsub", prog_name="artcafe")
def artcafe() -> None:
    """A multi-tenant messaging platform for AI agents: SSH keys in, messages out, tenants apart.

    \b
    Examples:
      artcafe up                                  run the platform here
      artcafe demo                                watch two agents talk
      artcafe tenants create "Acme" --id acme     then make a tenant,
      artcafe agents create planner -t acme       and an agent in it
    """


def main() -> None:
    """Run the command line; never returns."""
    prepare()
    try:
        artcafe(prog_name="artcafe")
    finally:
        finish()


if __name__ == "__main__":
    main()
