"""The shape of the contract."""

import inspect

import pytest

from artcafe.server.store import item
from artcafe.server.store.item import (
    Conflict,
    InvalidCursor,
    InvalidKey,
    InvalidWrite,
    ItemStore,
    StoreContended,
    StoreError,
    StoreUnavailable,
    StoreUnusable,
    StoreUnwritable,
    TooLarge,
)
from artcafe.server.store.memory import MemoryStore
from artcafe.server.store.sqlite import SqliteStore


def methods(kind: type) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(method)
        for name, method in inspect.getmembers(kind, inspect.iscoroutinefunction)
        if not name.startswith("_")
    }


def test_the_protocol_is_small_and_every_method_promises_something() -> None:
    promised = methods(ItemStore)

    one_row, many = {"get", "put", "delete"}, {"get_many", "transact", "query"}
    assert set(promised) == one_row | many | {"incr", "counters", "drop_counters"}
    assert all(getattr(ItemStore, name).__doc__ for name in promised)


@pytest.mark.parametrize("backend", [MemoryStore, SqliteStore])
def test_a_backend_has_the_same_signatures_and_a_life_of_its_own(backend: type) -> None:
    offered = methods(backend)

    assert {name: offered[name] for name in methods(ItemStore)} == methods(ItemStore)
    assert {"open", "close", "ping", "sweep"} <= set(offered)


def test_every_error_is_a_store_error_with_a_sentence() -> None:
    errors: list[StoreError] = [
        Conflict(3),
        InvalidCursor(),
        TooLarge(7, 5),
        InvalidKey("A."),
        InvalidWrite("A."),
        StoreContended("A."),
        StoreUnavailable("A."),
        StoreUnusable("A."),
        StoreUnwritable("A."),
    ]

    assert all(str(error).endswith(".") for error in errors)
    kinds = {kind for _, kind in inspect.getmembers(item, inspect.isclass) if issubclass(kind, Exception)}
    assert kinds == {type(error) for error in errors} | {StoreError}
