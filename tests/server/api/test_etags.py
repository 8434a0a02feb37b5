"""The tag of a record in an answer."""

from fastapi import Response
from msgspec.structs import replace

from artcafe.server.api.etags import set_tag
from artcafe.server.domain.version import tag
from tests.kit.records import a_tenant


def test_the_answer_names_the_version_it_shows() -> None:
    tenant = a_tenant()
    answers = [Response(), Response()]

    set_tag(answers[0], tenant)
    set_tag(answers[1], replace(tenant, version=2))

    assert answers[0].headers["etag"] == tag(tenant)
    assert answers[1].headers["etag"] != answers[0].headers["etag"]
