"""The operator's documents: accepted in their current version, later too, and by whom it may be done."""

import pytest

from artcafe.server.domain.legal import Document, Edition
from artcafe.server.domain.principal import Human
from artcafe.server.domain.tenant import Role
from artcafe.wire.codes import Code
from tests.kit.installation import OTHER, Installation, acting
from tests.kit.outcomes import refused


@pytest.fixture
async def olivia(installation: Installation) -> Human:
    """The owner of `acme`, made before anything was published; now the terms are."""
    human = await installation.make_tenant()
    installation.documents[Document.terms] = Edition("v1", "https://example.com/terms")
    return human


async def accepted(installation: Installation, human: Human) -> list[tuple[Document, str, str]]:
    page = await installation.process.legal.list(human, 10, None)
    return [(one.document, one.version, one.at) for one in page.items]


async def test_what_is_published_later_is_accepted_later(installation: Installation, olivia: Human) -> None:
    assert await accepted(installation, olivia) == []
    await installation.process.legal.accept(olivia, {Document.terms: "v1"})
    installation.documents[Document.terms] = Edition("v2")
    installation.clock.advance(60)

    [newer] = await installation.process.legal.accept(olivia, {Document.terms: "v2"})

    assert (newer.user, newer.email, newer.version) == (olivia.user, olivia.email, "v2")
    assert await accepted(installation, olivia) == [
        (Document.terms, "v1", "2025-11-24T16:00:00.000Z"),
        (Document.terms, "v2", "2025-11-24T16:01:00.000Z"),
    ]
    [entry] = (await installation.process.audit.list(olivia, 1, None)).items
    assert (entry.action, entry.target, entry.fields) == ("legal.accept", "acme", ["terms"])


async def test_the_first_acceptance_stays(installation: Installation, olivia: Human) -> None:
    [first] = await installation.process.legal.accept(olivia, {Document.terms: "v1"})
    installation.clock.advance(60)

    assert await installation.process.legal.accept(olivia, {Document.terms: "v1"}) == [first]
    assert await installation.process.legal.accept(olivia, {}) == []

    assert await accepted(installation, olivia) == [(Document.terms, "v1", first.at)]
    assert len((await installation.process.audit.list(olivia, 10, None)).items) == 2


@pytest.mark.parametrize(
    "versions",
    [
        {Document.terms: "v0"},
        {Document.privacy: "v1"},
        {Document.terms: "v1", Document.privacy: "v1"},
    ],
    ids=str,
)
async def test_nothing_but_the_current_version_of_what_is_published_is_accepted(
    installation: Installation, olivia: Human, versions: dict[Document, str]
) -> None:
    with refused(Code.validation_failed):
        await installation.process.legal.accept(olivia, versions)

    assert await accepted(installation, olivia) == []


@pytest.mark.parametrize("role", [Role.viewer, Role.member])
async def test_everybody_reads_and_who_may_change_the_tenant_accepts(
    installation: Installation, olivia: Human, role: Role
) -> None:
    with refused(Code.forbidden):
        await installation.process.legal.accept(acting(olivia, role), {Document.terms: "v1"})

    await installation.process.legal.accept(acting(olivia, Role.admin), {Document.terms: "v1"})

    assert len(await accepted(installation, acting(olivia, role))) == 1


async def test_tenants_accept_each_for_itself(installation: Installation, olivia: Human) -> None:
    installation.documents.clear()
    nina = await installation.make_tenant(OTHER, "nina")
    installation.documents[Document.terms] = Edition("v1")

    await installation.process.legal.accept(olivia, {Document.terms: "v1"})

    assert await accepted(installation, nina) == []
