"""Typed records over an ItemStore: what is tried again, and which words its errors become."""

import asyncio

import pytest
from msgspec import Struct

from artcafe.server.store import addresses as at
from artcafe.server.store.contention import TRIES, pause
from artcafe.server.store.item import (
    ABSENT,
    EXISTS,
    Check,
    Conflict,
    Delete,
    ItemStore,
    Op,
    Put,
    Rev,
    StoreUnavailable,
    StoreUnwritable,
)
from artcafe.server.store.rules import encode_cursor
from artcafe.server.store.table import Stored, Table, data, translated
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.outcomes import refused
from tests.kit.unreliable_store import UnreliableStore


class Note(Struct, frozen=True):
    text: str
    number: int = 0


def put(note: Note, stored: Stored[Note]) -> tuple[Note, list[Op]]:
    return note, [Put("p", "s", data(note), Rev(stored.rev))]


async def test_what_is_written_is_read_as_it_was(table: Table) -> None:
    await table.write(Put("p", "s", data(Note("é", 7))))

    stored = await table.read("p", "s", Note)

    assert stored is not None
    assert stored.record == Note("é", 7)


async def test_what_is_not_there_is_none(table: Table) -> None:
    assert await table.read("p", "s", Note) is None


async def test_a_conflict_is_the_callers_and_changes_nothing(table: Table) -> None:
    with pytest.raises(Conflict) as caught:
        await table.write(Put("p", "a", {}), Check("p", "missing", EXISTS))

    assert caught.value.index == 1
    assert await table.read("p", "a", Note) is None


class TestChange:
    async def test_it_makes_a_new_record_of_the_current_one(self, table: Table) -> None:
        await table.write(Put("p", "s", data(Note("a", 1))))

        changed = await table.change(
            "p", "s", Note, lambda stored: put(Note("b", stored.record.number + 1), stored)
        )

        stored = await table.read("p", "s", Note)
        assert stored is not None
        assert changed == stored.record == Note("b", 2)

    async def test_nothing_to_change_is_not_found(self, table: Table) -> None:
        with refused(Code.not_found):
            await table.change("p", "s", Note, lambda stored: put(stored.record, stored))

    async def test_no_change_is_lost_when_many_come_at_once(self, table: Table) -> None:
        await table.write(Put("p", "s", data(Note("", 0))))

        await asyncio.gather(
            *(
                table.change("p", "s", Note, lambda stored: put(Note("", stored.record.number + 1), stored))
                for _ in range(20)
            )
        )

        stored = await table.read("p", "s", Note)
        assert stored is not None
        assert stored.record.number == 20

    async def test_somebody_who_is_always_faster_ends_in_try_again(
        self, table: Table, unreliable: UnreliableStore
    ) -> None:
        await table.write(Put("p", "s", data(Note("", 0))))
        tries = 0

        def too_late(stored: Stored[Note]) -> tuple[Note, list[Op]]:
            nonlocal tries
            tries += 1
            return stored.record, [Put("p", "s", data(stored.record), Rev("of somebody else"))]

        waited: list[float] = []

        async def wait(seconds: float) -> None:
            waited.append(seconds)

        with refused(Code.unavailable) as refusal:
            await Table(unreliable, chance=lambda: 0.5, wait=wait).change("p", "s", Note, too_late)

        assert tries == TRIES
        assert waited == [pause(tried, 0.5) for tried in range(1, TRIES)]
        assert refusal.error is not None
        assert refusal.error.retry_after == 1.0

    async def test_a_conflict_beside_the_record_is_not_tried_again(self, table: Table) -> None:
        await table.write(Put("p", "s", data(Note("", 0))), Put("p", "claimed", {}))
        tries = 0

        def claim(stored: Stored[Note]) -> tuple[Note, list[Op]]:
            nonlocal tries
            tries += 1
            record, ops = put(stored.record, stored)
            return record, [*ops, Put("p", "claimed", {}, ABSENT)]

        with pytest.raises(Conflict) as caught:
            await table.change("p", "s", Note, claim)

        assert (caught.value.index, tries) == (1, 1)


class TestAgain:
    @pytest.mark.parametrize("lost", [0, 1])
    async def test_a_conflict_over_what_is_contested_is_tried_again_with_new_operations(
        self, table: Table, lost: int
    ) -> None:
        seen: list[list[int]] = []

        async def attempt() -> tuple[int, list[Op]]:
            stored = [await table.read("p", sk, Note) for sk in ("a", "b")]
            seen.append([note.record.number for note in stored if note])
            if len(seen) == 1:  # Somebody else is faster, once.
                await table.write(Put("p", "ab"[lost], data(Note("theirs", 7))))
            return len(seen), [
                Put("p", sk, data(Note("ours")), Rev(note.rev))
                for sk, note in zip("ab", stored, strict=True)
                if note
            ]

        await table.write(*(Put("p", sk, data(Note("", 1))) for sk in "ab"))
        assert await table.again(attempt, contested=2) == 2

        assert seen == [[1, 1], [7, 1] if lost == 0 else [1, 7]]
        notes = [await table.read("p", sk, Note) for sk in "ab"]
        assert [note.record.text for note in notes if note] == ["ours", "ours"]

    @pytest.mark.parametrize("contested", [1, 2])
    async def test_a_conflict_over_anything_else_is_the_callers_at_once(
        self, table: Table, contested: int
    ) -> None:
        tries = 0

        async def attempt() -> tuple[None, list[Op]]:
            nonlocal tries
            tries += 1
            free: list[Op] = [Put("p", f"free {number}", {}) for number in range(contested)]
            return None, [*free, Check("p", "missing", EXISTS)]

        with pytest.raises(Conflict) as caught:
            await table.again(attempt, contested)

        assert (caught.value.index, tries) == (contested, 1)

    async def test_what_the_attempt_refuses_is_not_tried_again(self, table: Table) -> None:
        tries = 0

        async def attempt() -> tuple[None, list[Op]]:
            nonlocal tries
            tries += 1
            raise ArtcafeError(Code.quota_exceeded)

        with refused(Code.quota_exceeded):
            await table.again(attempt)

        assert tries == 1


class TestCount:
    async def test_it_counts_up_to_the_limit_and_down_to_nothing(self, table: Table) -> None:
        assert await table.counted("p", "N#") == 0
        for number in (1, 2):
            await table.write(await table.count("p", "N#", 1, 2))
            assert await table.counted("p", "N#") == number
        with refused(Code.quota_exceeded) as refusal:
            await table.count("p", "N#", 1, 2)
        assert "2" in refusal.message

        for number in (1, 0):
            await table.write(await table.count("p", "N#", -1))
            assert await table.counted("p", "N#") == number

    async def test_what_was_there_before_anybody_counted_is_counted_once(self, table: Table) -> None:
        await table.write(Put("p", "N#1", {}), Put("p", "N#2", {}))
        assert await table.counted("p", "N#") == 2

        await table.write(Put("p", "N#3", {}), await table.count("p", "N#", 1, 3))

        assert await table.counted("p", "N#") == 3

    @pytest.mark.parametrize("there", [0, 1])
    async def test_with_a_limit_only_one_of_two_made_from_one_reading_is_written(
        self, table: Table, there: int
    ) -> None:
        for _ in range(there):
            await table.write(await table.count("p", "N#", 1))
        one, other = await table.count("p", "N#", 1, 9), await table.count("p", "N#", 1, 9)
        await table.write(one)

        with pytest.raises(Conflict):
            await table.write(other)

        assert await table.counted("p", "N#") == there + 1

    async def test_without_one_only_the_first_ever_is_exclusive(self, table: Table) -> None:
        await table.write(Put("p", "N#1", {}))
        one, other = [await table.count("p", "N#", 1) for _ in range(2)]
        await table.write(one, Put("p", "N#2", {}))
        with pytest.raises(Conflict):
            await table.write(other, Put("p", "N#3", {}))
        assert await table.counted("p", "N#") == 2

        more = [await table.count("p", "N#", step) for step in (1, 1, -1)]
        limited = await table.count("p", "N#", 1, 3)
        for op in (*more, limited):
            await table.write(op)
        assert await table.counted("p", "N#") == 4

    async def test_a_limit_sees_what_was_counted_without_one(self, table: Table, backend: ItemStore) -> None:
        spread = Table(backend, chance=iter([n / 16 for n in range(16)] * 2).__next__)
        for _ in range(20):
            await spread.write(await spread.count("p", "N#", 1))
        assert len(await backend.counters("p", "COUNT#N##")) == 16

        with refused(Code.quota_exceeded):
            await table.count("p", "N#", 1, 20)
        await table.write(await table.count("p", "N#", 1, 21))
        assert await table.counted("p", "N#") == 21

    async def test_a_number_that_an_older_release_kept_goes_on(self, table: Table) -> None:
        """There all of it stands in one row, which each of its creations and deletions writes anew."""
        await table.write(Put("p", at.count("N#"), {"n": 7}))
        await table.write(await table.count("p", "N#", 1))
        assert await table.counted("p", "N#") == 8

        await table.write(Put("p", at.count("N#"), {"n": 6}))
        assert await table.counted("p", "N#") == 7

    async def test_each_prefix_and_each_partition_is_counted_by_itself(self, table: Table) -> None:
        await table.write(await table.count("p", "N#", 1))

        assert await table.counted("p", "M#") == 0
        assert await table.counted("q", "N#") == 0


class TestLists:
    async def test_pages_follow_each_other_and_keep_to_the_prefix(self, table: Table) -> None:
        for name in ("a1", "a2", "a3", "b1"):
            await table.write(Put("p", name, data(Note(name))))

        first = await table.page("p", "a", Note, 2, None)
        second = await table.page("p", "a", Note, 2, first.cursor)

        assert [note.text for note in first.items] == ["a1", "a2"]
        assert [note.text for note in second.items] == ["a3"]
        assert second.cursor is None

    async def test_all_reads_more_than_one_page(self, table: Table) -> None:
        for start in range(0, 1050, 25):
            rows = [Put("p", f"n{n:05}", data(Note("", n))) for n in range(start, start + 25)]
            await table.write(*rows)

        assert [note.number for note in await table.all("p", "n", Note)] == list(range(1050))

    @pytest.mark.parametrize("cursor", ["", "garbage", "é", "%%%", encode_cursor("b1"), "A" * 900])
    async def test_a_cursor_that_no_page_gave_is_a_bad_request(self, table: Table, cursor: str) -> None:
        await table.write(Put("p", "a1", data(Note(""))))

        with refused(Code.bad_request) as refusal:
            await table.page("p", "a", Note, 2, cursor)

        assert "page token" in refusal.message


class TestErrors:
    async def test_a_store_that_is_away_is_unavailable(
        self, table: Table, unreliable: UnreliableStore
    ) -> None:
        unreliable.away = True

        with refused(Code.unavailable):
            await table.read("p", "s", Note)
        with refused(Code.unavailable):
            await table.write(Delete("p", "s"))
        with refused(Code.unavailable):
            await table.page("p", "s", Note, 1, None)
        with refused(Code.unavailable):
            await table.all("p", "s", Note)

    async def test_the_cause_is_kept_for_the_log(self) -> None:
        fault = StoreUnavailable("the disk is gone")

        with pytest.raises(ArtcafeError) as caught, translated():
            raise fault

        assert caught.value.__cause__ is fault
        assert "disk" not in caught.value.message

    async def test_a_full_disk_is_told_in_true_words(self) -> None:
        with (
            pytest.raises(ArtcafeError, match=r"cannot be written\. The disk is full") as caught,
            translated(),
        ):
            raise StoreUnwritable("The disk is full.")

        assert caught.value.code is Code.unavailable

    @pytest.mark.parametrize("key", ["a\0b", "a\nb", "\ud800", "x" * 513])
    async def test_an_impossible_key_is_a_bad_request_without_the_key(self, table: Table, key: str) -> None:
        with refused(Code.bad_request) as refusal:
            await table.read("p", key, Note)

        assert key not in refusal.message

    async def test_a_record_over_the_limit_is_too_large(self, table: Table) -> None:
        with refused(Code.too_large):
            await table.write(Put("p", "s", data(Note("x" * 300_000))))

    async def test_text_that_json_cannot_carry_is_refused(self, table: Table) -> None:
        with refused(Code.validation_failed):
            await table.write(Put("p", "s", data(Note("\ud800"))))
