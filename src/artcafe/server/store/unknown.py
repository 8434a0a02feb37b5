"""Keeps the fields of a record that this release does not know when the record is changed.

A release that runs beside a newer one reads records with fields that it has no name for. Such a field stays
where it was: in its row (split.py) and in its part of the record, down to the element of a list.
"""

from collections.abc import Mapping
from functools import lru_cache
from types import NoneType
from typing import Any, Final, get_args

from msgspec import Struct, structs

from artcafe.server.domain.agent import AgentKey
from artcafe.server.store.item import Json

IDENTITIES: Final[tuple[tuple[type[Struct], str], ...]] = ((AgentKey, "fingerprint"),)
"""The field by which an element of a list of these is the same one after a change."""


def with_unknown(
    kind: type[Struct], before: Mapping[str, Json], after: Mapping[str, Json]
) -> dict[str, Json]:
    """`after`, a record of this kind as data, with what `before` holds and the kind has no field for.

    `before` is data that converts to the kind. An element of a list is looked for by its IDENTITIES; what it
    holds goes with it. Free JSON, such as metadata, is known as a whole.
    """
    return {**inside(kind, before, after), **beside(kind, before)}


def inside(kind: type[Struct], before: Mapping[str, Json], after: Mapping[str, Json]) -> dict[str, Json]:
    """The same, without what stands beside the fields of the kind itself."""
    merged = dict(after)
    for name, parts in _parts(kind).items():
        if name in before and name in after:
            merged[name] = _merged(parts, before[name], after[name])
    return merged


def beside(kind: type[Struct], before: Mapping[str, Json]) -> dict[str, Json]:
    """The fields beside those of the kind."""
    names = {field.encode_name for field in structs.fields(kind)}
    return {name: value for name, value in before.items() if name not in names}


def _merged(kind: type[Struct], before: Json, after: Json) -> Json:
    if isinstance(before, dict) and isinstance(after, dict):
        return with_unknown(kind, before, after)
    if isinstance(before, list) and isinstance(after, list):
        [identity] = [field for listed, field in IDENTITIES if issubclass(kind, listed)]
        known = {each[identity]: each for each in before if isinstance(each, dict)}
        return [
            with_unknown(kind, known.get(each[identity], {}), each) if isinstance(each, dict) else each
            for each in after
        ]
    return after


@lru_cache(64)
def _parts(kind: type[Struct]) -> dict[str, type[Struct]]:
    """The fields that hold records themselves, one or a list of them, and of which kind."""
    found = {field.encode_name: _struct_in(field.type) for field in structs.fields(kind)}
    return {name: parts for name, parts in found.items() if parts is not None}


def _struct_in(annotation: Any) -> type[Struct] | None:
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        return annotation
    arguments = [each for each in get_args(annotation) if each is not NoneType]
    return _struct_in(arguments[0]) if len(arguments) == 1 else None
