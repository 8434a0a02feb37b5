"""Each -ERR by name."""

import pytest

from artcafe.server.bus.nats.refusals import Refusal, denied_pattern, refusal

TEXTS = {
    'Permissions Violation for Publish to "m.a"': Refusal.permission,
    'Permissions Violation for Subscription to "m.>" using queue "q"': Refusal.permission,
    "Invalid Subject": Refusal.subject,
    "Invalid Publish Subject": Refusal.subject,
    "maximum subscriptions exceeded": Refusal.subscriptions,
    "Authorization Violation": Refusal.login,
    "Authentication Timeout": Refusal.login,
    "User Authentication Expired": Refusal.login,
    "User Authentication Revoked": Refusal.login,
    "Account Authentication Expired": Refusal.login,
    "maximum connections exceeded": Refusal.connections,
    "maximum account active connections exceeded": Refusal.connections,
    "Maximum Payload Violation": Refusal.payload,
    "Stale Connection": Refusal.stale,
    "Slow Consumer": Refusal.slow,
    "Secure Connection - TLS Required": Refusal.encryption,
    "Maximum Control Line Exceeded": Refusal.protocol,
    "Unknown Protocol Operation": Refusal.protocol,
    "Parser Error": Refusal.protocol,
    "a reason of next year": Refusal.other,
    "": Refusal.other,
}


@pytest.mark.parametrize("text", TEXTS)
def test_what_an_error_is_about(text: str) -> None:
    assert refusal(text) is TEXTS[text]


def test_only_what_the_server_forgives_is_outlived() -> None:
    assert {kind for kind in Refusal if kind.survives} == {
        Refusal.permission,
        Refusal.subject,
        Refusal.subscriptions,
    }


def test_the_pattern_that_was_denied_is_told_as_it_was_written() -> None:
    assert denied_pattern('Permissions Violation for Subscription to "m.Ab.>" using queue "q"') == "m.Ab.>"
    assert denied_pattern('Permissions Violation for Publish to "m.a"') is None
