"""Every backend against a model that is too simple to be wrong, over random sequences of calls."""

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from artcafe.server.store.item import (
    ABSENT,
    ANY,
    EXISTS,
    Check,
    Cond,
    Conflict,
    Delete,
    Delta,
    Item,
    Json,
    Op,
    Put,
    Rev,
    purge,
)
from tests.kit.stores import BACKENDS, SetClock

T = TypeVar("T")

# Few keys, so that calls meet; the text sorts differently by bytes, UTF-16 and alphabet.
PKS = st.sampled_from(["p", "p#", "é"])
SKS = st.sampled_from(["a", "a#", "a#1", "B", "é", "e\u0301", "\uffff", "\U00010000"])
PREFIXES = st.sampled_from(["", "a", "a#", "e", "é", "zz"])
DATA = st.dictionaries(
    st.text(max_size=3),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
        max_leaves=4,
    ),
    max_size=3,
)
LIFETIMES = st.none() | st.integers(-2, 5)
KINDS = st.sampled_from(["any", "absent", "exists", "current", "past", "past"])


class StoreMachine(RuleBasedStateMachine):
    """The model: a dictionary of items, one of counters, and a clock."""

    backend: str

    def __init__(self) -> None:
        super().__init__()
        self.clock = SetClock()
        self.directory = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.opened = BACKENDS[self.backend](Path(self.directory.name), self.clock)
        self.store = self.run(self.opened.__aenter__())
        self.items: dict[tuple[str, str], Item] = {}
        self.counts: dict[tuple[str, str], int] = {}
        self.past = ["never"]  # revisions that are not current any more

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    def teardown(self) -> None:
        for pk in ("p", "p#", "é"):
            assert self.run(self.store.query(pk)).items == self.listed(pk, "")
        self.run(self.opened.__aexit__(None, None, None))
        self.runner.close()
        self.directory.cleanup()

    def live(self, pk: str, sk: str) -> Item | None:
        item = self.items.get((pk, sk))
        return item if item is not None and (item.expires is None or item.expires > self.clock.now) else None

    def listed(self, pk: str, prefix: str) -> list[Item]:
        places = sorted(
            (place for place in self.items if place[0] == pk), key=lambda place: place[1].encode()
        )
        items = [self.live(*place) for place in places if place[1].startswith(prefix)]
        return [item for item in items if item is not None]

    def cond(self, kind: str, pk: str, sk: str) -> Cond:
        item = self.live(pk, sk)
        plain: dict[str, Cond] = {"any": ANY, "absent": ABSENT, "exists": EXISTS}
        if kind == "current" and item is not None:
            return Rev(item.rev)
        return plain.get(kind, Rev(self.past[-1]))

    def holds(self, op: Op) -> bool:
        assert not isinstance(op, Delta)
        item = self.live(op.pk, op.sk)
        if isinstance(op.cond, Rev):
            return item is not None and item.rev == op.cond.rev
        return {ANY: True, ABSENT: item is None, EXISTS: item is not None}[op.cond]

    def done(self, op: Op, rev: str | None) -> None:
        """The model does what the store says it did."""
        before = self.items.get((op.pk, op.sk))
        if isinstance(op, Put):
            assert rev is not None and rev not in self.past
            assert rev not in {item.rev for item in self.items.values()}
            self.items[op.pk, op.sk] = Item(op.pk, op.sk, rev, dict(op.data), op.expires)
        else:
            assert rev is None
        if isinstance(op, Delete):
            self.items.pop((op.pk, op.sk), None)
        if before is not None and not isinstance(op, Check):
            self.past.append(before.rev)

    @rule(pk=PKS, sk=SKS, data=DATA, lifetime=LIFETIMES, kind=KINDS)
    def put(self, pk: str, sk: str, data: dict[str, Json], lifetime: int | None, kind: str) -> None:
        expires = None if lifetime is None else int(self.clock.now) + lifetime
        op = Put(pk, sk, data, self.cond(kind, pk, sk), expires)
        if self.holds(op):
            self.done(op, self.run(self.store.put(op)))
        else:
            with pytest.raises(Conflict):
                self.run(self.store.put(op))

    @rule(pk=PKS, sk=SKS, kind=KINDS)
    def delete(self, pk: str, sk: str, kind: str) -> None:
        op = Delete(pk, sk, self.cond(kind, pk, sk))
        if self.holds(op):
            self.run(self.store.delete(op))
            self.done(op, None)
        else:
            with pytest.raises(Conflict):
                self.run(self.store.delete(op))

    @rule(
        steps=st.lists(
            st.tuples(
                PKS, SKS, st.sampled_from(["put", "delete", "check"]), KINDS, st.integers(0, 99), LIFETIMES
            ),
            max_size=5,
            unique_by=lambda step: step[:2],
        )
    )
    def transact(self, steps: list[tuple[str, str, str, str, int, int | None]]) -> None:
        ops: list[Op] = []
        for pk, sk, what, kind, n, lifetime in steps:
            cond = self.cond(kind, pk, sk)
            if what == "put":
                expires = None if lifetime is None else int(self.clock.now) + lifetime
                ops.append(Put(pk, sk, {"n": n}, cond, expires))
            elif what == "check" and cond is not ANY:
                ops.append(Check(pk, sk, cond))
            else:
                ops.append(Delete(pk, sk, cond))
        failing = [index for index, op in enumerate(ops) if not self.holds(op)]
        if failing:
            with pytest.raises(Conflict) as caught:
                self.run(self.store.transact(ops))
            assert caught.value.index in {failing[0], -1}
        else:
            revs = self.run(self.store.transact(ops))
            for op, rev in zip(ops, revs, strict=True):
                self.done(op, rev)

    @rule(pk=PKS, sk=SKS)
    def get(self, pk: str, sk: str) -> None:
        assert self.run(self.store.get(pk, sk)) == self.live(pk, sk)

    @rule(pk=PKS, prefix=PREFIXES, limit=st.integers(1, 5))
    def query(self, pk: str, prefix: str, limit: int) -> None:
        items: list[Item] = []
        cursor = None
        while True:
            page = self.run(self.store.query(pk, prefix, limit, cursor))
            items += page.items
            assert len(page.items) <= limit
            cursor = page.cursor
            if cursor is None:
                break
        assert items == self.listed(pk, prefix)

    @rule(deltas=st.lists(st.builds(Delta, PKS, SKS, st.integers(-3, 3)), max_size=4))
    def incr(self, deltas: list[Delta]) -> None:
        self.run(self.store.incr(deltas))
        sums: dict[tuple[str, str], int] = {}
        for delta in deltas:
            sums[delta.pk, delta.sk] = sums.get((delta.pk, delta.sk), 0) + delta.by
        for place, by in sums.items():
            if by:
                self.counts[place] = self.counts.get(place, 0) + by

    @rule(pk=PKS, prefix=PREFIXES)
    def counters(self, pk: str, prefix: str) -> None:
        expected = {sk: n for (p, sk), n in self.counts.items() if p == pk and sk.startswith(prefix)}
        assert self.run(self.store.counters(pk, prefix)) == expected

    @rule(seconds=st.sampled_from([0.25, 1, 3]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @precondition(lambda self: len(self.items) > 4)
    @rule(pk=PKS)
    def purge(self, pk: str) -> None:
        assert self.run(purge(self.store, pk)) == len(self.listed(pk, ""))
        self.past += [item.rev for item in self.listed(pk, "")]
        self.items = {
            place: item for place, item in self.items.items() if self.live(*place) is None or place[0] != pk
        }
        self.counts = {place: n for place, n in self.counts.items() if place[0] != pk}


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_backend_does_what_the_model_does(backend: str) -> None:
    machine = type("Machine", (StoreMachine,), {"backend": backend})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=25, stateful_step_count=30, deadline=None, database=None)
    )
