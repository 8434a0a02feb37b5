"""What a request sets on a record."""

from typing import Any

from pydantic import BaseModel


def chosen(
    body: BaseModel, among: type[BaseModel], clearable: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The fields of `among` that the body was sent with; null clears what is clearable, and says nothing
    elsewhere."""
    given = body.model_dump(include=set(among.model_fields), exclude_unset=True)
    return {name: value for name, value in given.items() if value is not None or name in clearable}
