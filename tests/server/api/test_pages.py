"""Page tokens open the list they were made for, and nothing else."""

import base64

import pytest

from artcafe.server.api.pages import PageTokens
from artcafe.server.domain.ids import TenantId
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

ACME, OTHER = TenantId("acme"), TenantId("other")
TOKENS = PageTokens(b"a secret")


def test_a_token_gives_its_cursor_back() -> None:
    token = TOKENS.seal(ACME, "agents", "AGENT#ä")

    assert token is not None
    assert TOKENS.open(ACME, "agents", token) == "AGENT#ä"


def test_the_end_of_a_list_has_no_token_and_the_beginning_needs_none() -> None:
    assert TOKENS.seal(ACME, "agents", None) is None
    assert TOKENS.open(ACME, "agents", None) is None


def test_a_token_opens_in_no_other_tenant_list_or_installation() -> None:
    token = TOKENS.seal(ACME, "agents", "a1")

    for tokens, tenant, of in (
        (TOKENS, OTHER, "agents"),
        (TOKENS, ACME, "channels"),
        (PageTokens(b"another secret"), ACME, "agents"),
    ):
        with pytest.raises(ArtcafeError) as refused:
            tokens.open(tenant, of, token)
        assert refused.value.code is Code.bad_request


@pytest.mark.parametrize("token", ["", "x", "!!!!", "AAAA", base64.urlsafe_b64encode(bytes(40)).decode()])
def test_what_was_never_a_token_is_refused(token: str) -> None:
    with pytest.raises(ArtcafeError) as refused:
        TOKENS.open(ACME, "agents", token)

    assert refused.value.code is Code.bad_request


def test_a_cursor_that_was_changed_is_refused() -> None:
    token = TOKENS.seal(ACME, "agents", "a1")
    assert token is not None
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    forged = base64.urlsafe_b64encode(raw[:-1] + b"2").decode()

    with pytest.raises(ArtcafeError) as refused:
        TOKENS.open(ACME, "agents", forged)

    assert refused.value.code is Code.bad_request
