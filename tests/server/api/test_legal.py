"""The operator's documents over REST."""

import httpx
import pytest

from artcafe.server.domain.legal import Document, Edition
from artcafe.wire.codes import Code
from tests.kit.api import Api, good, problem

LEGAL = "/api/v1/tenants/acme/legal"
VERSIONS = "/api/v1/legal/versions"


async def test_everybody_sees_what_is_published(api: Api, anyone: httpx.AsyncClient) -> None:
    assert good(await anyone.get(VERSIONS)) == {"terms": None, "privacy": None}

    api.installation.documents[Document.terms] = Edition("v1", "https://example.com/terms")
    api.installation.documents[Document.privacy] = Edition("p1")

    assert good(await anyone.get(VERSIONS)) == {
        "terms": {"version": "v1", "url": "https://example.com/terms"},
        "privacy": {"version": "p1", "url": None},
    }


async def test_a_newer_version_is_accepted_later(api: Api, olivia: httpx.AsyncClient) -> None:
    api.installation.documents[Document.terms] = Edition("v1")
    acceptance = {
        "document": "terms",
        "version": "v1",
        "user_id": "adam",
        "email": "adam@example.com",
        "accepted_at": "2025-11-24T16:00:00.000Z",
        "remote": "127.0.0.1",
    }

    accepted = good(await api.signed_in("adam").post(LEGAL, json={"terms_version": "v1"}))

    assert accepted == {"acceptances": [acceptance], "next_token": None}
    again = good(await olivia.post(LEGAL, json={"terms_version": "v1", "privacy_version": None}))
    assert again == accepted
    assert good(await api.signed_in("vera").get(LEGAL)) == accepted
    assert good(await olivia.post(LEGAL, json={})) == {"acceptances": [], "next_token": None}


async def test_the_list_comes_in_pages(api: Api, olivia: httpx.AsyncClient) -> None:
    for version in ("v1", "v2", "v3"):
        api.installation.documents[Document.terms] = Edition(version)
        good(await olivia.post(LEGAL, json={"terms_version": version}))

    first = good(await olivia.get(LEGAL, params={"limit": 2}))
    rest = good(await olivia.get(LEGAL, params={"limit": 2, "next_token": first["next_token"]}))

    versions = [one["version"] for one in first["acceptances"] + rest["acceptances"]]
    assert (versions, rest["next_token"]) == (["v1", "v2", "v3"], None)


@pytest.mark.parametrize(
    "body", [{"terms_version": "v0"}, {"privacy_version": "v1"}, {"terms_version": "a b"}], ids=str
)
async def test_what_is_not_current_is_refused(
    api: Api, olivia: httpx.AsyncClient, body: dict[str, str]
) -> None:
    api.installation.documents[Document.terms] = Edition("v1")

    problem(await olivia.post(LEGAL, json=body), Code.validation_failed)

    assert good(await olivia.get(LEGAL))["acceptances"] == []


async def test_who_may_not_change_the_tenant_accepts_nothing_for_it(
    api: Api, vera: httpx.AsyncClient
) -> None:
    api.installation.documents[Document.terms] = Edition("v1")

    problem(await vera.post(LEGAL, json={"terms_version": "v1"}), Code.forbidden)
    problem(await api.signed_in("nina", "acme-2").get(LEGAL), Code.forbidden)
