"""The store contract: the embedded store passes it, and every store with a planted defect is refused by it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from attrs import evolve
from contract_cases import Json, comment, key_refs, version_of

import shadowmig
from shadowmig.errors import StoreError, StoreUnavailable
from shadowmig.model import MISSING, Change, Reading, Record, Ref
from shadowmig.stores import MemoryStore, Stream, Table
from shadowmig.stores.memory import MemorySpace
from shadowmig.testing import StoreContract

TABLES = [Table("comments", key="id", version="version"), Table("likes", key=("thing", "account"))]


class OnMemory(StoreContract):
    """What all runs on the embedded store share."""

    Store = MemoryStore

    def setup_method(self):
        """Make new places for each test."""
        self.here, self.there = MemorySpace(), MemorySpace()
        self.outage = ExitStack()

    def options(self):
        return {}

    def make_store(self):
        return self.Store(space=self.here, **self.options())

    def make_other(self):
        return self.Store(space=self.there, **self.options())

    def version_of(self, value):
        return version_of(value)

    def fail(self):
        self.outage.enter_context(self.here.outage())

    def recover(self):
        self.outage.close()


class Rows(OnMemory):
    """Rows with one key column."""

    def options(self):
        return {"tables": TABLES}

    def make_refs(self, count):
        return [Ref("", "row", "comments", (number,)) for number in range(count)]

    def make_value(self, ref, number):
        return comment(number, id=ref.key[0])


class Keys(OnMemory):
    """Keys that hold plain data."""

    def options(self):
        return {"version": version_of}

    def make_refs(self, count):
        return key_refs(count)

    def make_value(self, ref, number):
        return comment(number)


class Entries(OnMemory):
    """Entries that are known by a field."""

    def options(self):
        return {"streams": [Stream("events", id="event", version=version_of)]}

    def make_refs(self, count):
        return [Ref("", "entry", "events", (f"e{number}",)) for number in range(count)]

    def make_value(self, ref, number):
        return comment(number, event=ref.key[0])


class TestMemoryRows(Rows):
    """Rows with one key column."""


class TestMemoryKeys(Keys):
    """Keys that hold plain data."""


class TestMemoryEntries(Entries):
    """Entries that are known by a field."""


class TestMemoryRowsOfTwoKeys(Rows):
    """Rows with two key columns, of which some columns are read."""

    def options(self):
        return {"tables": [Table("likes", key=("thing", "account"), columns=("account", "thing", "at", "version"))]}

    def make_refs(self, count):
        return [Ref("", "row", "likes", (number % 7, f"a{number}")) for number in range(count)]

    def make_value(self, ref, number):
        return {"account": ref.key[1], "thing": ref.key[0], "at": [number], "version": number}

    def version_of(self, value):
        return None


class TestMemoryFolded(Rows):
    """Records of one row for each property."""

    def options(self):
        def fold(rows):
            return {row["name"]: row["value"] for row in rows}

        def unfold(value):
            return [{"name": name, "value": each} for name, each in value.items()]

        return {"tables": [Table("props", key="thing", fold=fold, unfold=unfold)]}

    def make_refs(self, count):
        return [Ref("", "row", "props", (number,)) for number in range(count)]

    def make_value(self, ref, number):
        return comment(number)

    def version_of(self, value):
        return None


class TestMemoryCodec(Keys):
    """Keys that hold bytes of a codec."""

    def options(self):
        return {"version": version_of, "codec": Json()}


class TestMemoryPayloads(Entries):
    """Entries with an encoded payload."""

    def options(self):
        stream = Stream("events", id="event", version=version_of, codec=Json(), payload="data")
        return {"streams": [stream]}

    def make_value(self, ref, number):
        return comment(number)


class TestMemoryEntryIds(Entries):
    """Entries of a stream that is known by the ids of its entries."""

    def options(self):
        return {"streams": [Stream("events")]}

    def make_refs(self, count):
        return [Ref("", "entry", "events", (f"{number + 1}-0",)) for number in range(count)]

    def make_value(self, ref, number):
        return comment(number)

    def version_of(self, value):
        return None

    @pytest.mark.skip(reason="an entry's token is its id, which is the key here")
    def test_tokens_change_with_every_write(self):
        """The token of such an entry never changes."""


# Stores with a defect each, and the test that has to refuse them.


class Sorted(MemoryStore):
    """Gives records in an order of its own."""

    def read(self, refs, **options):
        reading = super().read(refs, **options)
        return evolve(reading, records=tuple(sorted(reading.records, key=lambda record: str(record.ref))))


class Distinct(MemoryStore):
    """Gives a record that is asked for twice only once."""

    def read(self, refs, **options):
        return super().read(list(dict.fromkeys(refs)), **options)


class Dropping(MemoryStore):
    """Leaves out what is not there."""

    def read(self, refs, **options):
        reading = super().read(refs, **options)
        return evolve(reading, records=tuple(record for record in reading.records if record.exists))


class NoneForMissing(MemoryStore):
    """Takes nothing for the value None."""

    def read(self, refs, **options):
        reading = super().read(refs, **options)
        return evolve(reading, records=tuple(evolve(r, value=r.value if r.exists else None) for r in reading.records))


class Cached(MemoryStore):
    """Gives the object that it keeps, not a copy."""

    def read(self, refs, **options):
        kept = self.space.__dict__.setdefault("kept", {})
        reading = super().read(refs, **options)
        records = []
        for record in reading.records:
            token, value = kept.get(record.ref, (None, None))
            if token != record.token:
                value = record.value
                kept[record.ref] = record.token, value
            records.append(evolve(record, value=value))
        return evolve(reading, records=tuple(records))


class KeepsWhatItIsGiven(MemoryStore):
    """Takes over the object that is written, not a copy."""

    def write(self, records):
        super().write(records)
        self.space.__dict__.setdefault("given", {}).update({r.ref: r.value for r in records})

    def read(self, refs, **options):
        given = self.space.__dict__.setdefault("given", {})
        reading = super().read(refs, **options)
        return evolve(
            reading,
            records=tuple(evolve(r, value=given.get(r.ref, r.value)) if r.exists else r for r in reading.records),
        )


class LosesDeletes(MemoryStore):
    """Deletes only the first."""

    def delete(self, refs):
        super().delete(refs[:1])


class DeletesAll(MemoryStore):
    """Deletes more than it is asked to."""

    def delete(self, refs):
        self.reset()


class KeepsValueless(MemoryStore):
    """Passes over records without a value."""

    def write(self, records):
        super().write([record for record in records if record.exists])


class AddsOnly(MemoryStore):
    """Does not overwrite."""

    def write(self, records):
        there = {r.ref for r in self.read([record.ref for record in records]).records if r.exists}
        super().write([record for record in records if not record.exists or record.ref not in there])


class ForgetsTtl(MemoryStore):
    """Writes without the time to live."""

    def write(self, records):
        super().write([evolve(record, meta={"flags": 0}) for record in records])


class ForgetsFlags(MemoryStore):
    """Writes without flags, of what was read from elsewhere."""

    def read(self, refs, **options):
        reading = super().read(refs, **options)
        flags = 1 if getattr(self.space, "first", None) is not None else 0
        return evolve(reading, records=tuple(evolve(r, meta={**r.meta, "flags": flags}) for r in reading.records))

    def write(self, records):
        super().write(records)
        if any(record.meta for record in records):
            self.space.first = True


class TouchesOnRead(MemoryStore):
    """Writes what it reads."""

    def read(self, refs, **options):
        reading = super().read(refs, **options)
        MemoryStore.write(self, [record for record in reading.records if record.exists])
        return reading


class ConstantToken(MemoryStore):
    """Gives the same token for ever."""

    def read(self, refs, **options):
        reading = super().read(refs, **options)
        return evolve(reading, records=tuple(evolve(r, token=1) if r.exists else r for r in reading.records))


class TokenOfReads(MemoryStore):
    """Gives a new token at each read."""

    def read(self, refs, **options):
        reading = super().read(refs, **options)
        now = time.perf_counter_ns()
        return evolve(reading, records=tuple(evolve(r, token=now) if r.exists else r for r in reading.records))


class TokenOfTheValue(MemoryStore):
    """Gives a token that depends on the value only."""

    def read(self, refs, **options):
        reading = super().read(refs, **options)
        return evolve(
            reading, records=tuple(evolve(r, token=repr(r.value)) if r.exists else r for r in reading.records)
        )


class WrongVersion(MemoryStore):
    """Takes the version from elsewhere."""

    def read(self, refs, **options):
        reading = super().read(refs, **options)
        return evolve(reading, records=tuple(evolve(r, version=1) if r.exists else r for r in reading.records))


class TellsNoChanges(MemoryStore):
    """Has marks, and tells nothing."""

    def read(self, refs, *, since=None, timeout=None):
        return super().read(refs, timeout=timeout)


class TellsOldChanges(MemoryStore):
    """Tells what was written before the mark too."""

    def read(self, refs, *, since=None, timeout=None):
        return super().read(refs, since=None if since is None else 0, timeout=timeout)


class TellsTwice(MemoryStore):
    """Tells a change twice."""

    def read(self, refs, **options):
        reading = super().read(refs, **options)
        return evolve(reading, changed=reading.changed * 2)


class TellsWrongPlaces(MemoryStore):
    """Tells changes that are after their own reading."""

    def read(self, refs, **options):
        reading = super().read(refs, **options)
        return evolve(reading, changed=tuple(Change(c.ref, c.at + 10**9) for c in reading.changed))


class FewAtATime(MemoryStore):
    """Reads only the first hundred."""

    def read(self, refs, **options):
        reading = super().read(refs, **options)
        return evolve(reading, records=reading.records[:100] + tuple(Record(ref) for ref in refs[100:]))


class OneForAll(MemoryStore):
    """Says the same identity wherever it is."""

    def identity(self):
        return "memory"


class OneForEach(MemoryStore):
    """Says another identity for each handle."""

    def identity(self):
        return f"memory {id(self)}"


class KeepsItsOwnMark(MemoryStore):
    """Finds only what it planted itself."""

    planted = ""

    def plant(self, nonce):
        self.planted = nonce

    def finds(self, nonce):
        return bool(nonce) and self.planted == nonce


class FindsAnything(MemoryStore):
    """Finds a mark if there is any."""

    def finds(self, nonce):
        return bool(self.space.nonce)


class KeepsMarks(MemoryStore):
    """Does not remove a mark."""

    def plant(self, nonce):
        super().plant(nonce or self.space.nonce)


class PlantsForAll(MemoryStore):
    """Plants where every place finds it."""

    marks: set[str] = set()  # noqa: RUF012 - the defect is that it is shared

    def plant(self, nonce):
        if nonce:
            self.marks.add(nonce)
        else:
            self.marks.clear()

    def finds(self, nonce):
        return nonce in self.marks


class IgnoresForbid(MemoryStore):
    """Goes on writing when it is forbidden."""

    def forbid_writes(self):
        pass


class ForbidsSilently(MemoryStore):
    """Passes over forbidden writes without a word."""

    forbidden = False

    def forbid_writes(self):
        self.forbidden = True

    def write(self, records):
        if not self.forbidden:
            super().write(records)


class ForbidsOnlyWrites(MemoryStore):
    """Forgets that a reset writes."""

    def reset(self):
        MemoryStore(space=self.space, tables=TABLES).reset()


class ForbidsTheSpace(MemoryStore):
    """Forbids other handles to write too."""

    def forbid_writes(self):
        super().forbid_writes()
        self.space.forbidden = True

    def write(self, records):
        self._read_only = getattr(self.space, "forbidden", False)
        super().write(records)


class ManyClients(MemoryStore):
    """Makes a client each time."""

    def client(self):
        return object()


class NoClientAfterClose(MemoryStore):
    """Has another client once it is closed."""

    def close(self):
        self._client = object()


class ClosesOnce(MemoryStore):
    """Cannot be closed twice."""

    closed = False

    def close(self):
        if self.closed:
            raise ValueError("closed already")
        self.closed = True


class ClosesOthers(MemoryStore):
    """Closes what other handles use."""

    def close(self):
        self.space.closed = True

    def read(self, refs, **options):
        if getattr(self.space, "closed", False):
            raise StoreError("closed")
        return super().read(refs, **options)


class ReadsOfTheDead(MemoryStore):
    """Raises what nobody knows when read after close."""

    closed = False

    def close(self):
        self.closed = True

    def read(self, refs, **options):
        if self.closed:
            raise OSError("bad descriptor")
        return super().read(refs, **options)


class NotForThreads(MemoryStore):
    """Keeps what it reads on itself, between two threads."""

    def read(self, refs, **options):
        self.refs = refs
        time.sleep(0.001)
        return super().read(self.refs, **options)


class NotForForks(MemoryStore):
    """Belongs to the process that made it."""

    def read(self, refs, **options):
        if self.space.__dict__.setdefault("pid", os.getpid()) != os.getpid():
            raise StoreError("connected by another process")
        return super().read(refs, **options)


class KnowsAnything(MemoryStore):
    """Finds nothing at refs that it does not understand."""

    def read(self, refs, **options):
        try:
            return super().read(refs, **options)
        except StoreError:
            return Reading(tuple(map(Record, refs)))


class RaisesRaw(MemoryStore):
    """Raises what its driver raises."""

    def read(self, refs, **options):
        for ref in refs:
            if not ref.key:
                raise IndexError("tuple index out of range")
        return super().read(refs, **options)


class Trims(MemoryStore):
    """Takes keys with spaces around them for others."""

    def _trimmed(self, ref):
        return evolve(ref, key=tuple(part.strip() if isinstance(part, str) else part for part in ref.key))

    def read(self, refs, **options):
        reading = super().read([self._trimmed(ref) for ref in refs], **options)
        return evolve(reading, records=tuple(evolve(r, ref=ref) for r, ref in zip(reading.records, refs, strict=True)))

    def write(self, records):
        super().write([evolve(record, ref=self._trimmed(record.ref)) for record in records])


class Injectable(MemoryStore):
    """Runs what stands in a key."""

    def write(self, records):
        if any("DROP TABLE" in str(record.ref.key) for record in records):
            self.reset()
        else:
            super().write(records)


class RaisesInOutages(MemoryStore):
    """Raises what its driver raises when the server is away."""

    def read(self, refs, **options):
        try:
            return super().read(refs, **options)
        except StoreUnavailable:
            raise ConnectionError("refused") from None


class NothingInOutages(MemoryStore):
    """Takes an outage for an empty store."""

    def read(self, refs, **options):
        try:
            return super().read(refs, **options)
        except StoreUnavailable:
            return Reading(tuple(map(Record, refs)))


class NeverAgain(MemoryStore):
    """Stays down once it was down."""

    down = False

    def read(self, refs, **options):
        try:
            if self.down:
                raise StoreError("was down before")
            return super().read(refs, **options)
        except StoreUnavailable:
            self.down = True
            raise


class SpeaksOut(MemoryStore):
    """Shows its password."""

    def __repr__(self):
        return "MemoryStore('memory://user:s3cret@here')"


class AsyncOtherwise(MemoryStore):
    """Reads something else on an event loop."""

    async def aread(self, refs, **options):
        return evolve(self.read(refs), records=tuple(map(Record, refs)))


class PartedOtherwise(MemoryStore):
    """Reads something else in two parts."""

    def reading(self, refs, **options):
        yield
        return evolve(self.read(refs), records=tuple(map(Record, refs)))


class BlamesItself(MemoryStore):
    """Takes everything for an outage of its own."""

    def is_outage(self, error):
        return True


class ResetsTooMuch(MemoryStore):
    """Resets every place."""

    places: set[MemorySpace] = set()  # noqa: RUF012 - the defect is that it is shared

    def __init__(self, **options):
        super().__init__(**options)
        self.places.add(self.space)

    def reset(self):
        for space in self.places:
            MemoryStore(space=space, tables=TABLES).reset()


class ResetsNothing(MemoryStore):
    """Does not reset."""

    def reset(self):
        pass


class BareToken(MemoryStore):
    """Has a token for what is not there."""

    def read(self, refs, **options):
        reading = super().read(refs, **options)
        return evolve(reading, records=tuple(r if r.exists else evolve(r, token=0) for r in reading.records))


class EmptiesOnEmpty(MemoryStore):
    """Takes a write of nothing for a reset."""

    def write(self, records):
        if records:
            super().write(records)
        else:
            self.reset()


class StopsAtDeletions(MemoryStore):
    """Loses what is written after a deletion."""

    def write(self, records):
        gone = [place for place, record in enumerate(records) if record.value is MISSING]
        super().write(records[: gone[0] + 1] if gone else records)


BROKEN = [
    (Sorted, Rows, "test_reads_in_order"),
    (Distinct, Rows, "test_reads_in_order"),
    (Dropping, Rows, "test_reads_in_order"),
    (NoneForMissing, Rows, "test_reads_in_order"),
    (BareToken, Rows, "test_a_missing_record_is_bare"),
    (Cached, Rows, "test_shares_nothing"),
    (KeepsWhatItIsGiven, Rows, "test_shares_nothing"),
    (LosesDeletes, Rows, "test_deletes"),
    (DeletesAll, Rows, "test_deletes"),
    (KeepsValueless, Rows, "test_a_record_without_value_deletes"),
    (EmptiesOnEmpty, Rows, "test_writes_nothing"),
    (AddsOnly, Rows, "test_overwrites"),
    (StopsAtDeletions, Rows, "test_agrees_with_a_dict"),
    (LosesDeletes, Rows, "test_agrees_with_a_dict"),
    (ForgetsTtl, Keys, "test_time_to_live"),
    (ForgetsFlags, Keys, "test_a_written_record_is_read"),
    (ForgetsFlags, Keys, "test_hydrates_another_place"),
    (TouchesOnRead, Rows, "test_reads_do_not_write"),
    (ConstantToken, Rows, "test_tokens_change_with_every_write"),
    (TokenOfTheValue, Rows, "test_tokens_change_with_every_write"),
    (TokenOfReads, Rows, "test_tokens_stand_still"),
    (TouchesOnRead, Rows, "test_tokens_stand_still"),
    (WrongVersion, Rows, "test_versions"),
    (TellsNoChanges, Rows, "test_changes_since_a_mark"),
    (TellsOldChanges, Entries, "test_changes_since_a_mark"),
    (TellsTwice, Rows, "test_changes_since_a_mark"),
    (TellsWrongPlaces, Rows, "test_changes_since_a_mark"),
    (TellsNoChanges, Entries, "test_changes_of_others"),
    (FewAtATime, Rows, "test_many_refs"),
    (OneForAll, Rows, "test_identity"),
    (OneForEach, Rows, "test_identity"),
    (KeepsItsOwnMark, Rows, "test_a_planted_mark_is_found"),
    (FindsAnything, Rows, "test_a_planted_mark_is_found"),
    (KeepsMarks, Rows, "test_a_planted_mark_is_found"),
    (PlantsForAll, Rows, "test_a_planted_mark_is_found"),
    (IgnoresForbid, Rows, "test_forbidden_writes"),
    (ForbidsSilently, Rows, "test_forbidden_writes"),
    (ForbidsOnlyWrites, Rows, "test_forbidden_writes"),
    (ForbidsTheSpace, Rows, "test_forbidden_writes"),
    (ManyClients, Rows, "test_client_is_one_object"),
    (NoClientAfterClose, Rows, "test_client_is_one_object"),
    (ClosesOnce, Rows, "test_close"),
    (ReadsOfTheDead, Rows, "test_close"),
    (ClosesOthers, Rows, "test_close_is_ones_own"),
    (NotForThreads, Rows, "test_threads"),
    (NotForForks, Rows, "test_fork"),
    (KnowsAnything, Rows, "test_unknown_refs"),
    (RaisesRaw, Rows, "test_unknown_refs"),
    (Trims, Keys, "test_hostile_keys"),
    (Injectable, Rows, "test_hostile_keys"),
    (RaisesInOutages, Rows, "test_outage"),
    (NothingInOutages, Rows, "test_outage"),
    (NeverAgain, Rows, "test_outage"),
    (SpeaksOut, Rows, "test_no_password_in_repr"),
    (AsyncOtherwise, Rows, "test_async_reads"),
    (PartedOtherwise, Rows, "test_reads_in_parts"),
    (BlamesItself, Rows, "test_knows_outages"),
    (ResetsTooMuch, Rows, "test_reset"),
    (ResetsNothing, Keys, "test_reset"),
]


@pytest.mark.parametrize(("store", "run", "test"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_a_defect_is_refused(store, run, test, capfd):
    """A store with a planted defect fails the test that is there for it."""
    contract = run()
    contract.setup_method()
    contract.Store, contract.password = store, "s3cret"
    with pytest.raises((AssertionError, StoreError, ValueError, OSError, pytest.skip.Exception)) as caught:
        getattr(contract, test)()
    assert not isinstance(caught.value, pytest.skip.Exception)


def test_every_test_can_fail():
    """For nearly every test of the contract there is a defect that it finds."""
    tests = {name for name in dir(StoreContract) if name.startswith("test_")}
    idle = tests - {test for _, _, test in BROKEN}
    assert idle <= {"test_reads_nothing", "test_two_handles", "test_a_planted_mark_is_no_change", "test_hostile_spaces"}


def test_what_is_not_given_is_skipped():
    """A test whose hook is missing is skipped with the name of the hook."""

    class Bare(StoreContract):
        make_store = make_other = lambda _: MemoryStore()

        def make_refs(self, count):
            return key_refs(count)

    for test, hook in (
        ("test_versions", "version_of"),
        ("test_outage", "fail"),
        ("test_no_password_in_repr", "password"),
        ("test_hostile_spaces", "no table"),
        ("test_changes_since_a_mark", "changes of keys"),
    ):
        with pytest.raises((pytest.skip.Exception, NotImplementedError)) as caught:
            getattr(Bare(), test)()
        assert test == "test_hostile_spaces" or hook in str(caught.value)


def test_missing_methods_say_so():
    """A subclass without the four methods that must be given fails."""
    for call in (
        lambda bare: bare.make_store(),
        lambda bare: bare.make_other(),
        lambda bare: bare.make_refs(1),
        lambda bare: bare.make_value(Ref("", "key", "", ("k",)), 1),
    ):
        with pytest.raises(NotImplementedError):
            call(StoreContract())


def test_the_kit_is_light():
    """Importing the kit loads neither pytest nor hypothesis nor a driver, until the contract is asked for."""
    program = (
        "import sys, json, shadowmig.testing as kit; before = sorted(sys.modules); assert 'StoreContract' in dir(kit);"
        "kit.StoreContract; print(json.dumps([before, 'pytest' in sys.modules, hasattr(kit, 'Nothing')]))"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    environment["PYTHONPATH"] = str(Path(shadowmig.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, check=True)
    loaded, *later = json.loads(done.stdout)
    assert [name for name in ("pytest", "hypothesis", "psycopg", "redis", "pymemcache") if name in loaded] == []
    assert later == [True, False]
