"""The rules of signing in with a browser."""

import pytest

from artcafe.server.domain import sign_in as rules
from artcafe.server.domain.sign_in import Endpoints, NobodyToTell, OAuthError, Returning

CLIENT, CONSOLE = "artcafe-local", "http://127.0.0.1:8000/console/"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""The pair of RFC 7636 appendix B."""

GOOD = {
    "client_id": CLIENT,
    "redirect_uri": CONSOLE,
    "response_type": "code",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "state": "s",
    "nonce": "n",
    "scope": "openid email",
}


def lists(**changes: str | None) -> dict[str, list[str]]:
    """A good request with changes."""
    return {name: [value] for name, value in (GOOD | changes).items() if value is not None}


@pytest.mark.parametrize(
    "address",
    [CONSOLE, "http://127.0.0.1:1/callback", "http://127.0.0.1:65535/callback", "http://[::1]:8000/callback"],
)
def test_the_console_and_programs_on_this_machine_are_answered(address: str) -> None:
    assert rules.returning(lists(redirect_uri=address), CLIENT, CONSOLE) == Returning(address, "s")


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/console/",
        "http://127.0.0.1:8000/console",
        "http://127.0.0.1:8000/console/?x=1",
        "http://127.0.0.1:8000/console/#x",
        "http://127.0.0.1:8000/console/../callback",
        "http://127.0.0.1:8001/console/",
        "http://localhost:9999/callback",
        "http://127.0.0.1/callback",
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:65536/callback",
        "http://127.0.0.1:9999/callback/",
        "http://127.0.0.1:9999/callback?next=https://evil.example",
        "http://127.0.0.1:9999/callback\n",
        "http://127.0.0.1:9999@evil.example/callback",
        "http://127.0.0.1:\u0661\u0661/callback",
        "https://127.0.0.1:9999/callback",
        "http://127.0.0.2:9999/callback",
        "//evil.example",
        "javascript:alert(1)",
        "",
    ],
)
def test_nobody_else_is(address: str) -> None:
    with pytest.raises(NobodyToTell):
        rules.returning(lists(redirect_uri=address), CLIENT, CONSOLE)


@pytest.mark.parametrize(
    "given",
    [
        {},
        lists(client_id="another"),
        lists(client_id=None),
        lists(redirect_uri=None),
        lists() | {"client_id": [CLIENT, CLIENT]},
        lists() | {"redirect_uri": [CONSOLE, CONSOLE]},
    ],
)
def test_without_one_client_and_one_address_there_is_nobody_to_tell(given: dict[str, list[str]]) -> None:
    with pytest.raises(NobodyToTell):
        rules.returning(given, CLIENT, CONSOLE)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": CHALLENGE[:-1]}, "invalid_request"),
        ({"code_challenge": CHALLENGE + "A"}, "invalid_request"),
        ({"code_challenge": CHALLENGE[:-1] + "\n"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"nonce": "ä"}, "invalid_request"),
        ({"state": "x" * 513}, "invalid_request"),
        ({"scope": "openid admin"}, "invalid_scope"),
        ({"prompt": "none"}, "login_required"),
        ({"request": "x"}, "request_not_supported"),
        ({"request_uri": "https://evil.example/"}, "request_uri_not_supported"),
    ],
)
def test_a_request_that_is_not_good_is_told_why(changes: dict[str, str | None], error: str) -> None:
    with pytest.raises(OAuthError) as refused:
        rules.authorization(lists(**changes), Returning(CONSOLE, "s"))
    assert refused.value.error == error


def test_a_parameter_that_stands_twice_is_refused() -> None:
    with pytest.raises(OAuthError) as refused:
        rules.authorization(lists() | {"nonce": ["a", "b"]}, Returning(CONSOLE, "s"))
    assert refused.value.error == "invalid_request"


def test_a_good_request_is_read() -> None:
    wanted = rules.authorization(lists(), rules.returning(lists(), CLIENT, CONSOLE))

    assert (wanted.redirect_uri, wanted.challenge, wanted.state, wanted.nonce, wanted.scope) == (
        CONSOLE,
        CHALLENGE,
        "s",
        "n",
        "email openid",
    )


def test_a_verifier_proves_its_own_challenge_alone() -> None:
    assert rules.proves(VERIFIER, CHALLENGE)
    for other in ("", VERIFIER[:-1], VERIFIER[:-1] + "l", VERIFIER + "A", CHALLENGE, VERIFIER[:42], "ä" * 43):
        assert not rules.proves(other, CHALLENGE)


def test_a_code_is_read_as_people_type_it() -> None:
    code = rules.spelled(bytes(range(8)))

    assert code == "BCDF-GHJK"
    for text in ("bcdf-ghjk", "BCDFGHJK", " bcdf ghjk\n", "B-C-D-F-G-H-J-K"):
        assert rules.typed(text, 8) == code
    for text in ("", "BCDF-GHJ", "BCDF-GHJKL", "BCDF-GHJK!", "ACDF-GHJK", "BCDF/GHJK", "BCDF-GHJK" * 99):
        assert rules.typed(text, 8) is None


def test_a_document_needs_the_two_endpoints_that_everybody_uses() -> None:
    whole = {"issuer": "i", "authorization_endpoint": "https://a/", "token_endpoint": "https://t/"}

    found = Endpoints.of({**whole, "end_session_endpoint": "https://e/", "revocation_endpoint": 7})

    assert found is not None
    assert (found.issuer, found.token, found.end_session) == ("i", "https://t/", "https://e/")
    assert (found.revocation, found.device_authorization, found.names_itself) == (None, None, False)
    for missing in ("authorization_endpoint", "token_endpoint"):
        assert Endpoints.of({**whole, missing: None}) is None
