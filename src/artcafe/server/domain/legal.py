"""The operator's documents, and the acceptance of a version."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct

from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.principal import Human
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

VERSION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""Versions of documents, as JSON Schema and OpenAPI see them: `2026-01-31`, `v2`."""


class Document(StrEnum):
    """The kinds of documents that an operator may publish."""

    terms = "terms"
    privacy = "privacy"


@dataclass(frozen=True, slots=True)
class Edition:
    """The current version of a document, and where it can be read."""

    version: str
    url: str | None = None


Documents = Mapping[Document, Edition]
"""What the operator publishes; a document that is missing is not published."""


class Acceptance(Struct, frozen=True, kw_only=True):
    """Somebody accepted a version of a document for a tenant, at this time (RFC 3339) and from there."""

    document: Document
    version: str
    tenant: TenantId
    user: UserId
    email: str = ""
    at: str
    remote: str = ""


def check_whole(published: Documents, versions: Mapping[Document, str]) -> None:
    """Raises validation_failed unless these are the current versions of all that is published."""
    for document, edition in published.items():
        if document not in versions:
            raise ArtcafeError(Code.validation_failed, f"{document}_version: {_current(edition)}")
    check_current(published, versions)


def check_current(published: Documents, versions: Mapping[Document, str]) -> None:
    """Raises validation_failed for a version that is not the current one, or of nothing published."""
    for document, version in versions.items():
        edition = published.get(document)
        if edition is None:
            raise ArtcafeError(
                Code.validation_failed, f"{document}_version: no such document is published here."
            )
        if version != edition.version:
            raise ArtcafeError(Code.validation_failed, f"{document}_version: {_current(edition)}")


def _current(edition: Edition) -> str:
    where = f", at {edition.url}" if edition.url else ""
    return f"the current version, {edition.version}{where}, has to be accepted."


def acceptances(versions: Mapping[Document, str], human: Human, *, at: str) -> list[Acceptance]:
    """The acceptances of a human for its tenant, to be stored."""
    return [
        Acceptance(
            document=document,
            version=version,
            tenant=human.tenant,
            user=human.user,
            email=human.email,
            at=at,
            remote=human.remote,
        )
        for document, version in versions.items()
    ]
