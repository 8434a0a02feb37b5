"""REST requests as the signed-in human."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import click

from artcafe.cli.connection import Target
from artcafe.cli.sign_ins import SignIns
from artcafe.cli.text import plain
from artcafe.client.rest import Json, Rest, UnreachableError
from artcafe.wire.errors import ArtcafeError

T = TypeVar("T")

_TENANT_HEADER = "x-tenant-id"
"""A word of the platform's that the command line has another word for."""


def ask(connection: Target, question: Callable[[Rest], Awaitable[T]], *, tenant: str | None = None) -> T:
    """Sign in, ask, sign out. `tenant` goes before the connection's own.

    Raises ArtcafeError with what the platform said, and ClickException when nothing answers.
    """

    async def asked() -> T:
        async with signed_in(connection, tenant=tenant) as rest:
            return await question(rest)

    return asyncio.run(asked())


def ask_in_tenant(connection: Target, question: Callable[[Rest, str], Awaitable[T]]) -> T:
    """The same, of the tenant that was named or is the only one. Raises UsageError for several."""

    async def asked(rest: Rest) -> T:
        return await question(rest, await tenant_of(connection, rest))

    return ask(connection, asked)


@asynccontextmanager
async def signed_in(connection: Target, *, tenant: str | None = None) -> AsyncIterator[Rest]:
    """A Rest with the token of `token_of`, in the tenant."""
    try:
        token = await token_of(connection)
        async with Rest(connection.url, token, tenant=tenant or connection.tenant) as rest:
            yield rest
    except UnreachableError as error:
        raise connection.nothing_answers() from error
    except ArtcafeError as error:
        if _TENANT_HEADER in error.message:
            hint = f"{plain(error.message)} Here that is --tenant."
            raise click.ClickException(hint) from error
        raise


async def token_of(connection: Target) -> str:
    """The human's token: the one given, else that of `artcafe login`, else a fresh one of the platform on
    this machine."""
    token = connection.token or await SignIns.of(connection.data_dir).token(connection.url)
    return token or str((await local_token(connection))["access_token"])


async def tenant_of(connection: Target, rest: Rest) -> str:
    """The tenant that was named, else the only one that the human belongs to. Raises UsageError."""
    if connection.tenant is not None:
        return connection.tenant
    mine = await rest.tenants()
    if len(mine) != 1:
        raise click.UsageError(f"you belong to {len(mine)} tenants: name one with --tenant")
    return str(mine[0]["id"])


async def local_token(
    connection: Target,
    *,
    tenant: str | None = None,
    role: str | None = None,
    email: str | None = None,
) -> Json:
    """A token of the platform on this machine; see Rest.local_token.

    Raises ClickException when there is no such platform: then a token has to be given.
    """
    return await _for_secret(
        connection, lambda rest, secret: rest.local_token(secret, tenant=tenant, role=role, email=email)
    )


async def sign_in_code(connection: Target) -> str:
    """A code for the sign-in page of the platform on this machine. Raises ClickException as above."""
    return await _for_secret(
        connection, lambda rest, secret: rest.sign_in_code(secret, tenant=connection.tenant)
    )


async def _for_secret(connection: Target, question: Callable[[Rest, str], Awaitable[T]]) -> T:
    secret = connection.secret()
    async with Rest(connection.url) as rest:
        if secret is None:
            # Before asking for a token, make sure that there is somebody to show it to.
            raise _token_needed(connection) if await rest.answers() else connection.nothing_answers()
        try:
            return await question(rest, secret)
        except UnreachableError as error:
            raise connection.nothing_answers() from error


def _token_needed(connection: Target) -> click.ClickException:
    advice = "run `artcafe login`, give --token or set ARTCAFE_TOKEN"
    return click.ClickException(f"{connection.url} needs to know who you are: {advice}")
