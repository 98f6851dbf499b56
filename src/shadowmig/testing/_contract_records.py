"""The contract of stores, first part: what is written is what is read."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import pytest
from attrs import evolve

from shadowmig.model import Record, Ref
from shadowmig.protocols import AsyncStore, OutageStore, PartedStore, Store
from shadowmig.stores.parted import whole
from shadowmig.testing._contract_hooks import Hooks, address, assert_same_record, close_ttl, skip

MANY = 500


class Records(Hooks):
    """Reading, writing and deleting."""

    def test_reads_in_order(self) -> None:
        """A read gives one record for each ref, in their order, those asked for twice and those not there too."""
        with closing(self.make_store()) as store:
            refs = self._refs(3)
            store.write([Record(refs[0], self.make_value(refs[0], 0)), Record(refs[2], self.make_value(refs[2], 2))])
            asked = [refs[2], refs[1], refs[0], refs[2], refs[1]]
            records = store.read(asked).records
            assert isinstance(records, tuple), "records is no tuple"
            assert [address(record.ref) for record in records] == [address(ref) for ref in asked], "not in their order"
            self._expect(store, asked, [2, None, 0, 2, None], "a read of several refs")

    def test_reads_nothing(self) -> None:
        """A read of no refs gives no records and no changes."""
        with closing(self.make_store()) as store:
            self._filled(store, 1)
            reading = store.read([])
            assert (tuple(reading.records), tuple(reading.changed)) == ((), ())

    def test_a_missing_record_is_bare(self) -> None:
        """A record that is not there has no value, no version, no token and no bytes."""
        with closing(self.make_store()) as store:
            (record,) = store.read(self._refs(1), timeout=10.0).records
            assert not record.exists
            assert (record.version, record.token, record.raw) == (None, None, None)

    def test_a_written_record_is_read(self) -> None:
        """What was read and is written again, there or after a deletion, is read as before."""
        with closing(self.make_store()) as store:
            refs = self._filled(store, 3)
            self._expect(store, refs, [0, 1, 2], "after a write")
            before = store.read(refs).records
            for why in ("written over itself", "written after a deletion"):
                store.write(before)
                for got, wanted in zip(store.read(refs).records, before, strict=True):
                    assert_same_record(got, wanted, why)
                store.delete(refs)

    def test_overwrites(self) -> None:
        """A write replaces what was there before."""
        with closing(self.make_store()) as store:
            refs = self._filled(store, 2)
            for number in (7, 8):
                store.write([Record(refs[0], self.make_value(refs[0], number))])
                self._expect(store, refs, [number, 1], "after writing one of two again")

    def test_a_record_without_value_deletes(self) -> None:
        """Writing a record without a value removes what is there, if anything is."""
        with closing(self.make_store()) as store:
            refs = self._filled(store, 3)
            store.write([Record(refs[0]), Record(refs[1], self.make_value(refs[1], 5))])
            self._expect(store, refs, [None, 5, 2], "after writing a record without value")
            store.write([Record(refs[0])])
            self._expect(store, refs, [None, 5, 2], "after doing so again")

    def test_deletes(self) -> None:
        """Deleting removes these records and no others, and one that is not there is no error."""
        with closing(self.make_store()) as store:
            refs = self._filled(store, 4)
            store.delete([refs[1], refs[3]])
            self._expect(store, refs, [0, None, 2, None], "after deleting two of four")
            store.delete([refs[0], refs[1]])
            store.delete([])
            self._expect(store, refs, [None, None, 2, None], "after deleting one that is not there")

    def test_writes_nothing(self) -> None:
        """A write of no records changes nothing."""
        with closing(self.make_store()) as store:
            refs = self._filled(store, 1)
            store.write([])
            self._expect(store, refs, [0], "after writing nothing")

    def test_versions(self) -> None:
        """The version of a record is the one that its value carries."""
        if self._lacks("version_of"):
            skip("version_of is not given")
        with closing(self.make_store()) as store:
            refs = self._filled(store, 3)
            for record in store.read(refs).records:
                wanted = self.version_of(record.value)
                assert record.version == wanted, f"version is {record.version!r}, not {wanted!r}"

    def test_many_refs(self) -> None:
        """A read of 500 refs gives what 500 reads of one give."""
        with closing(self.make_store()) as store:
            refs = list(self._refs(MANY))
            store.write(self._records(refs[::2]))
            random.Random(MANY).shuffle(refs)  # noqa: S311 - an order is no secret
            together = store.read(refs).records
            assert sum(record.exists for record in together) == MANY // 2
            for ref, record in zip(refs, together, strict=True):
                (alone,) = store.read([ref]).records
                assert_same_record(record, alone, f"{ref} among {MANY}")
                assert record.token == alone.token, f"{ref} among {MANY}: token {record.token!r}, not {alone.token!r}"

    def test_shares_nothing(self) -> None:
        """Whoever changes a value that was written or read changes nothing in the store."""
        with closing(self.make_store()) as store:
            (ref,) = self._refs(1)
            value = self.make_value(ref, 0)
            store.write([Record(ref, value)])
            scramble(value)
            self._expect(store, [ref], [0], "the value that was written was changed by its owner")
            for record in store.read([ref, ref]).records:
                scramble(record.value)
                scramble(record.meta)
            self._expect(store, [ref], [0], "a value that was read was changed by its reader")
            store.write(store.read([ref]).records)
            self._expect(store, [ref], [0], "what is kept beside a value was changed by its reader")

    def test_time_to_live(self) -> None:
        """A key keeps the time to live that it is written with, and has none if it is written without."""
        (ref,) = self._refs(1)
        with closing(self.make_store()) as store:
            store.write([Record(ref, self.make_value(ref, 0))])
            (record,) = store.read([ref]).records
            if "ttl" not in record.meta:
                skip("the store tells no time to live")
            assert record.meta["ttl"] is None, "a record written without time to live has one"
            store.write([evolve(record, meta={**record.meta, "ttl": 1000.0})])
            (timed,) = store.read([ref]).records
            assert close_ttl(timed.meta, {"ttl": 1000.0}), f"ttl is {timed.meta['ttl']!r}, not 1000"
            store.write([record])
            (record,) = store.read([ref]).records
            assert record.meta["ttl"] is None, "the time to live outlived the record that had it"

    def test_hydrates_another_place(self) -> None:
        """Records read from one place and written to another are the same there: values, versions, bytes and all."""
        with closing(self.make_store()) as store, closing(self.make_other()) as other:
            *there, absent = self._refs(4)
            store.write(self._records(there))
            other.write(self._records([absent, there[0]], 9))
            records = store.read([*there, absent]).records
            other.write(records)
            for got, wanted in zip(other.read([*there, absent]).records, records, strict=True):
                assert_same_record(got, wanted, f"{wanted.ref} in the other place")
            self._expect(store, [*there, absent], [0, 1, 2, None], "the place that was only read")

    def test_reset(self) -> None:
        """A reset removes all records of this place and of no other, and the store can be used on."""
        with closing(self.make_store()) as store, closing(self.make_other()) as other:
            refs = self._filled(store, 3)
            other.write(self._records(refs))
            store.reset()
            self._expect(store, refs, [None] * 3, "after a reset")
            self._expect(other, refs, [0, 1, 2], "the other place after a reset")
            store.write(self._records(refs, 4))
            self._expect(store, refs, [4, 5, 6], "written after a reset")

    def test_async_reads(self) -> None:
        """A read on an event loop gives what a read gives."""
        import asyncio

        with closing(self.make_store()) as store:
            if not isinstance(store, AsyncStore):
                skip("the store has no aread")
            refs = self._refs(3)
            store.write(self._records(refs[:2]))
            wanted = store.read(refs)

            async def read(store: AsyncStore, refs: Sequence[Ref]) -> tuple[Record, ...]:
                readings = await asyncio.gather(*(store.aread(refs, since=wanted.mark, timeout=10.0) for _ in "abc"))
                assert not any(reading.changed for reading in readings), "aread tells of changes that were not"
                assert (await store.aread([])).records == ()
                return tuple(record for reading in readings for record in reading.records)

            for got, record in zip(asyncio.run(read(store, refs)), wanted.records * 3, strict=True):
                assert_same_record(got, record, f"{record.ref} by aread")
                assert got.token == record.token, "aread gives another token"

    def test_reads_in_parts(self) -> None:
        """What a read in parts gives is what a whole one gives, also beside others and after one was given up."""
        with closing(self.make_store()) as store:
            if not isinstance(store, PartedStore):
                skip("the store has no reading()")
            refs = self._refs(3)
            store.write(self._records(refs[:2]))
            wanted = store.read(refs)
            given_up = store.reading(refs)
            next(given_up)
            given_up.close()
            first, second = store.reading(refs, since=wanted.mark), store.reading(refs[:1], timeout=10.0)
            next(first)
            next(second)
            for reading in (whole(second), whole(first), store.read(refs)):
                for got, record in zip(reading.records, wanted.records, strict=False):
                    assert_same_record(got, record, f"{record.ref} in parts")
                    assert got.token == record.token, "reading() gives another token"

    def test_knows_outages(self) -> None:
        """An exception that anything may raise is no outage of the store."""
        with closing(self.make_store()) as store:
            if not isinstance(store, OutageStore):
                skip("the store has no is_outage()")
            for kind in (Exception, ValueError, KeyError, AssertionError):
                assert store.is_outage(kind) is False, f"is_outage takes any {kind.__name__} for an outage"

    def test_agrees_with_a_dict(self) -> None:
        """After any sequence of writes and deletions the store holds what a dict would hold."""
        pytest.importorskip("hypothesis")
        from hypothesis import HealthCheck, given, settings
        from hypothesis import strategies as st

        places = st.integers(0, 3)
        writes = st.dictionaries(places, st.none() | st.integers(0, 5), max_size=4).map(lambda what: ("write", what))
        deletes = st.frozensets(places, max_size=4).map(lambda what: ("delete", dict.fromkeys(what)))
        with closing(self.make_store()) as store:
            refs = self._refs(4)

            @settings(deadline=None, suppress_health_check=list(HealthCheck))
            @given(st.lists(writes | deletes, max_size=8))
            def agrees(steps: list[tuple[str, dict[int, int | None]]]) -> None:
                for ref in refs:
                    store.delete([ref])
                self._follow(store, refs, [("delete", {}), *steps])

            agrees()

    def _follow(self, store: Store, refs: Sequence[Ref], steps: list[tuple[str, dict[int, int | None]]]) -> None:
        model: dict[int, int | None] = {}
        for verb, what in steps:
            if verb == "delete":
                store.delete([refs[place] for place in what])
            else:
                store.write(
                    [
                        Record(refs[place])
                        if number is None
                        else Record(refs[place], self.make_value(refs[place], number))
                        for place, number in what.items()
                    ]
                )
            model |= what
            self._expect(store, refs, [model.get(place) for place in range(len(refs))], f"after {verb} of {what}")


def scramble(value: Any) -> None:
    """Change everything in a value that can be changed."""
    if isinstance(value, dict):
        for part in value.values():
            scramble(part)
        value.clear()
    elif isinstance(value, list | tuple):
        for part in value:
            scramble(part)
        if isinstance(value, list):
            value.append("changed")
    elif isinstance(value, set | bytearray):
        value.clear()
