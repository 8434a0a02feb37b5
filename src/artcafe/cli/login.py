"""`artcafe login`: sign in with a browser."""

import asyncio
import threading

import click

from artcafe.cli.callback import listening
from artcafe.cli.connection import Target, reaches
from artcafe.cli.sign_ins import SignIns
from artcafe.cli.text import json_option, plain, print_json
from artcafe.client.rest import Rest, UnreachableError
from artcafe.client.sign_in import IssuerEndpoints, SignInAttempt, Tokens, device_tokens
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


@click.command()
@click.option("--no-browser", is_flag=True, help="Only print the address; open it yourself, on this machine.")
@click.option("--device", is_flag=True, help="Sign in on another screen, by a code; not every issuer can.")
@click.option(
    "--callback-port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Listen on this port, for an issuer that knows fixed addresses only. [default: any]",
)
@click.option(
    "--timeout", type=click.FloatRange(min=0.1), default=300.0, show_default=True, help="Seconds to wait."
)
@json_option
@reaches
def login(
    connection: Target,
    callback_port: int,
    timeout: float,
    *,
    no_browser: bool,
    device: bool,
    as_json: bool,
) -> None:
    """Sign in at the platform's issuer, in your browser; other commands then act as you.

    The tokens are kept in `sign-ins.json` in the data directory, which only you can read, and renewed
    when they end. ARTCAFE_TOKEN and --token go before them; `artcafe logout` forgets them.

    \b
    Examples:
      artcafe login --url https://pubsub.example.com
      artcafe login --no-browser
      artcafe login --device                        on a machine without a browser
    """
    issuer, tokens = asyncio.run(
        _sign_in(connection, callback_port, timeout, browser=not no_browser, device=device)
    )
    SignIns.of(connection.data_dir).keep(connection.url, issuer, tokens)
    if as_json:
        print_json({"url": connection.url, "issuer": issuer.issuer, "expires_in": tokens.lifetime})
    else:
        click.echo(f"Signed in at {connection.url}.")


async def _sign_in(
    connection: Target, port: int, patience: float, *, browser: bool, device: bool
) -> tuple[IssuerEndpoints, Tokens]:
    issuer = await issuer_of(connection)
    if device:
        return issuer, await device_tokens(issuer, _show_device)
    try:
        async with listening(port) as callback:
            attempt = SignInAttempt.begin(issuer, callback.redirect_uri)
            click.echo(f"Sign in here:\n\n  {plain(attempt.address)}\n", err=True)
            if browser:
                # It may run for as long as the browser does, which is nothing to wait for.
                threading.Thread(target=_open, args=(attempt.address,), daemon=True).start()
            said = await callback.answer(attempt.is_answered_by, patience)
    except TimeoutError as error:
        raise click.ClickException(f"nobody signed in within {patience:g} seconds") from error
    except OSError as error:
        raise click.ClickException(f"cannot listen on port {port}: {error.strerror}") from error
    return issuer, await attempt.tokens(said)


def _open(address: str) -> None:
    if click.launch(address, wait=True) != 0:
        click.echo("No browser could be started; open the address yourself.", err=True)


async def issuer_of(connection: Target) -> IssuerEndpoints:
    """How the platform signs humans in. Raises ClickException where no browser can."""
    async with Rest(connection.url) as rest:
        try:
            return IssuerEndpoints.of(await rest.sign_in_config())
        except UnreachableError as error:
            raise connection.nothing_answers() from error
        except ArtcafeError as error:
            if error.code is not Code.not_found:
                raise
            advice = "give --token or set ARTCAFE_TOKEN"
            raise click.ClickException(f"{connection.url} has no sign-in by browser; {advice}") from error


def _show_device(address: str, code: str) -> None:
    click.echo(f"Open  {plain(address)}\nand type  {plain(code)}\n", err=True)
