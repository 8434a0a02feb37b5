"""The operator's documents: which versions are accepted, and what refusals say."""

import re
from collections.abc import Callable, Mapping

import pytest

from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.legal import (
    VERSION_PATTERN,
    Acceptance,
    Document,
    Documents,
    Edition,
    acceptances,
    check_current,
    check_whole,
)
from artcafe.server.domain.principal import Human
from artcafe.server.domain.tenant import Role
from artcafe.wire.codes import Code
from tests.kit.outcomes import refused
from tests.kit.records import AT

Check = Callable[[Documents, Mapping[Document, str]], None]

TERMS = {Document.terms: Edition("v2", "https://example.com/terms")}
BOTH = {**TERMS, Document.privacy: Edition("p1")}


def test_where_nothing_is_published_nothing_is_needed() -> None:
    check_whole({}, {})
    check_current({}, {})


def test_all_that_is_published_has_to_be_accepted_with_a_tenant_and_any_of_it_later() -> None:
    check_whole(BOTH, {Document.terms: "v2", Document.privacy: "p1"})
    check_current(BOTH, {Document.privacy: "p1"})
    with refused(Code.validation_failed) as refusal:
        check_whole(BOTH, {Document.privacy: "p1"})
    assert refusal.message == (
        "terms_version: the current version, v2, at https://example.com/terms, has to be accepted."
    )


@pytest.mark.parametrize("check", [check_whole, check_current])
def test_an_older_version_is_none(check: Check) -> None:
    with refused(Code.validation_failed) as refusal:
        check(TERMS, {Document.terms: "v1"})

    assert "terms_version" in refusal.message
    assert "v2" in refusal.message


@pytest.mark.parametrize("check", [check_whole, check_current])
def test_what_is_not_published_cannot_be_accepted(check: Check) -> None:
    with refused(Code.validation_failed) as refusal:
        check(TERMS, {Document.terms: "v2", Document.privacy: "p1"})

    assert refusal.message == "privacy_version: no such document is published here."


def test_an_acceptance_says_who_for_whom_when_and_from_where() -> None:
    human = Human(TenantId("acme"), UserId("paul"), Role.admin, "paul@example.com", "192.0.2.1", "r-1")

    assert acceptances({Document.terms: "v2"}, human, at=AT) == [
        Acceptance(
            document=Document.terms,
            version="v2",
            tenant=TenantId("acme"),
            user=UserId("paul"),
            email="paul@example.com",
            at=AT,
            remote="192.0.2.1",
        )
    ]


@pytest.mark.parametrize(
    ("version", "good"),
    [
        ("2026-01-31", True),
        ("v1.2_b", True),
        ("1" * 64, True),
        ("1" * 65, False),
        ("", False),
        ("a#b", False),
    ],
)
def test_versions_are_words(version: str, *, good: bool) -> None:
    assert (re.search(VERSION_PATTERN, version) is not None) == good
