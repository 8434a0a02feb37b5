"""The operator's documents over REST: the published ones, and their acceptances."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from artcafe.server.api.admission import AdmittingRoute
from artcafe.server.api.deps import Cases, NamedHuman, Resources
from artcafe.server.api.fields import Body
from artcafe.server.api.pages import Limit, NextToken
from artcafe.server.api.unreadable import tell_unreadable
from artcafe.server.domain.legal import VERSION_PATTERN, Acceptance, Document, Edition

router = APIRouter(route_class=AdmittingRoute, prefix="/api/v1", tags=["legal"])

Version = Annotated[str, Field(pattern=VERSION_PATTERN, examples=["2026-01-31"])]
Url = Annotated[str, Field(examples=["https://example.com/terms"])]


class Versions(Body):
    """The versions of the operator's documents that the caller accepts."""

    terms_version: Version | None = None
    privacy_version: Version | None = None

    def versions(self) -> dict[Document, str]:
        """The versions that were given."""
        given = {Document.terms: self.terms_version, Document.privacy: self.privacy_version}
        return {document: version for document, version in given.items() if version is not None}


class EditionView(BaseModel):
    """A document's current version, and where it can be read."""

    version: Version
    url: Url | None

    @classmethod
    def of(cls, edition: Edition | None) -> "EditionView | None":
        """A document as everybody sees it; None where there is none."""
        return None if edition is None else cls(version=edition.version, url=edition.url)


class PublishedDocuments(BaseModel):
    """The operator's documents; null is not published, and nothing to accept."""

    terms: EditionView | None
    privacy: EditionView | None


class AcceptanceView(BaseModel):
    """An acceptance: user, version, time, and network address."""

    document: Document
    version: Version
    user_id: str
    email: str
    accepted_at: str
    remote: str

    @classmethod
    def of(cls, acceptance: Acceptance) -> "AcceptanceView":
        """An acceptance as members see it."""
        return cls(
            document=acceptance.document,
            version=acceptance.version,
            user_id=acceptance.user,
            email=acceptance.email,
            accepted_at=acceptance.at,
            remote=acceptance.remote,
        )


class AcceptanceList(BaseModel):
    """A page of acceptances; the end is reached when `next_token` is null."""

    acceptances: list[AcceptanceView]
    next_token: str | None


@router.get("/legal/versions")
async def legal_versions(cases: Cases) -> PublishedDocuments:
    """Show the documents that are accepted by making a tenant."""
    published = cases.legal.published
    return PublishedDocuments(
        terms=EditionView.of(published.get(Document.terms)),
        privacy=EditionView.of(published.get(Document.privacy)),
    )


@router.get("/tenants/{tenant_id}/legal")
async def list_acceptances(
    cases: Cases,
    resources: Resources,
    human: NamedHuman,
    response: Response,
    limit: Limit = 50,
    next_token: NextToken = None,
) -> AcceptanceList:
    """List what was accepted for the tenant, by document and version."""
    page = await cases.legal.list(human, limit, resources.pages.open(human.tenant, "legal", next_token))
    tell_unreadable(response, page)
    return AcceptanceList(
        acceptances=[AcceptanceView.of(acceptance) for acceptance in page.items],
        next_token=resources.pages.seal(human.tenant, "legal", page.cursor),
    )


@router.post("/tenants/{tenant_id}/legal")
async def accept_documents(body: Versions, cases: Cases, human: NamedHuman) -> AcceptanceList:
    """Accept current versions for the tenant. Of each version the first acceptance counts, and is given."""
    accepted = await cases.legal.accept(human, body.versions())
    return AcceptanceList(acceptances=[AcceptanceView.of(one) for one in accepted], next_token=None)
