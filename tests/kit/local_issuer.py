"""The API with the embedded installation's own issuer, as `artcafe up` has it."""

import os
from pathlib import Path

from fastapi import FastAPI

from artcafe.server.core.sign_in import SignIn
from artcafe.server.identity.dev_issuer import LocalIssuer
from artcafe.server.identity.sealing import AesSealer
from artcafe.server.store.sign_in import SignInTable
from artcafe.server.store.table import Table
from tests.kit.api import Api, furnished
from tests.kit.installation import counting
from tests.kit.issuers import StoppedClock

ISSUER = "http://127.0.0.1/local"


async def furnished_with_issuer(application: FastAPI, directory: Path) -> Api:
    """What `furnished` gives, with an issuer that keeps its key and its secret in this directory. Call
    `__post_init__` after a further change of it."""
    issuer = LocalIssuer.open(directory, ISSUER, StoppedClock(), counting("jti"))
    api = await furnished(application, issuer)
    api.sign_in = SignIn(
        issuer=issuer,
        sealer=AesSealer(issuer.derived("x"), os.urandom),
        records=SignInTable(Table(api.installation.store)),
        clock=api.installation.clock,
        random=os.urandom,
        new_id=counting("id"),
    )
    api.__post_init__()
    return api
