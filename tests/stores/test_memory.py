"""The embedded store: what its client does, what is read of it, and how it stands in for a server."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from contextlib import ExitStack

import pytest
from attrs import evolve, frozen
from contract_cases import Json
from hypothesis import given
from hypothesis import strategies as st

from shadowmig.errors import ConfigError, ProductionRefused, StoreError, StoreUnavailable
from shadowmig.model import MISSING, Change, Record, Ref, Undecodable
from shadowmig.side import MIRRORED
from shadowmig.stores import MemoryStore, Stream, Table, _roles
from shadowmig.stores import _memory_space as space_module
from shadowmig.stores.memory import DuplicateKey, MemorySpace

COMMENTS = Table("comments", key="id", version="version")
LIKES = Table("likes", key=("thing", "account"))


def fold(rows):
    """Make one value of the rows of a thing."""
    return {row["name"]: row["value"] for row in rows}


def unfold(value):
    """Make rows of it again."""
    return [{"name": name, "value": each} for name, each in value.items()]


def row(table, *key):
    """Make the ref of a row."""
    return Ref("", "row", table, key)


def key(name):
    """Make the ref of a key."""
    return Ref("", "key", "", (name,))


def entry(stream, event):
    """Make the ref of an entry."""
    return Ref("", "entry", stream, (event,))


def one(store, ref):
    """Read one record."""
    (record,) = store.read([ref]).records
    return record


@pytest.fixture
def now():
    """The time of a clock that stands, in a list."""
    return [1000.0]


@pytest.fixture
def space(now):
    """A space with that clock."""
    return MemorySpace(clock=lambda: now[0])


@pytest.fixture
def store(space):
    """A store with two tables and a stream."""
    return MemoryStore(tables=[COMMENTS, LIKES], streams=[Stream("events", id="event")], space=space)


@pytest.fixture
def client(store):
    """Its client."""
    return store.client()


# Rows.


def test_rows(client):
    """Rows are added, read, changed and removed by their keys."""
    assert client.insert("comments", {"id": 7, "body": "a", "version": 1}) == {"id": 7, "body": "a", "version": 1}
    assert client.update("comments", 7, body="b", version=2) == {"id": 7, "body": "b", "version": 2}
    assert client.get_row("comments", 7) == {"id": 7, "body": "b", "version": 2}
    assert client.update("comments", 8, body="b") is None
    assert client.get_row("comments", 8) is None
    assert (client.remove("comments", 7), client.remove("comments", 7)) == (True, False)
    assert client.rows("comments") == []


def test_a_version_is_raised_by_the_service(store, client):
    """An update leaves the version column alone unless it names it, and the token changes in any case."""
    client.insert("comments", {"body": "a", "version": 1})
    before = one(store, row("comments", 1))
    client.update("comments", 1, body="b")
    after = one(store, row("comments", 1))
    assert (before.version, after.version) == (1, 1)
    assert before.token != after.token


def test_keys_are_made(client):
    """A key that is left out is the next whole number, above all there ever were."""
    assert client.insert("comments", {"body": "a"})["id"] == 1
    client.insert("comments", {"id": 5})
    client.insert("comments", {"id": 3})
    assert client.insert("comments", {"body": "b"})["id"] == 6
    client.remove("comments", 6)
    assert client.insert("comments", {"body": "c"})["id"] == 7
    client.update("comments", 7, id=20)
    assert client.insert("comments", {})["id"] == 21
    client.insert("comments", {"id": "text"})
    assert [each["id"] for each in client.rows("comments")] == [1, 5, 3, 20, 21, "text"]


def test_a_written_key_counts(store, client):
    """Keys that a record brought are not made again."""
    store.write([Record(row("comments", 9), {"id": 9, "body": "a", "version": 1})])
    assert client.insert("comments", {"body": "b"})["id"] == 10


def test_keys_of_two_columns(client):
    """A key of two columns is given in full."""
    client.insert("likes", {"thing": 1, "account": "a", "at": None})
    client.insert("likes", {"thing": 1, "account": "b", "at": None})
    assert client.get_row("likes", 1, "b")["account"] == "b"
    with pytest.raises(StoreError, match="lacks account"):
        client.insert("likes", {"thing": 1})
    for call in (client.get_row, client.update, client.remove):
        with pytest.raises(StoreError, match="likes has 2 columns, not 1"):
            call("likes", 1)


def test_a_key_is_there_once(client):
    """A second row with a key is refused, also by a change of the key, and nothing is changed."""
    client.insert("comments", {"id": 1, "body": "a"})
    client.insert("comments", {"id": 2, "body": "b"})
    with pytest.raises(DuplicateKey, match=r"^A row of comments has this key already\.$") as caught:
        client.insert("comments", {"id": 1, "body": "other"})
    assert isinstance(caught.value, KeyError)
    assert caught.value.space == "comments"
    with pytest.raises(DuplicateKey):
        client.update("comments", 2, id=1)
    assert client.rows("comments") == [{"id": 1, "body": "a"}, {"id": 2, "body": "b"}]
    assert client.update("comments", 2, id=3) == {"id": 3, "body": "b"}


def test_columns_of_any_name(client):
    """Columns may be called as the parameters of an update are."""
    client.insert("comments", {"id": 1})
    assert client.update("comments", 1, table="t", self="s", key="k") == {
        "id": 1,
        "table": "t",
        "self": "s",
        "key": "k",
    }


@pytest.mark.parametrize("name", ["insert", "get_row", "update", "remove", "rows"])
def test_undeclared_tables(client, name):
    """A table that was not declared is refused with its name."""
    arguments = {"insert": ({},), "rows": ()}.get(name, (1,))
    with pytest.raises(StoreError, match="no table 'nowhere'"):
        getattr(client, name)("nowhere", *arguments)


def test_keys_that_cannot_be_keys(store, client):
    """A list is no key, whether the client gives it or a ref does."""
    with pytest.raises(StoreError, match="cannot be a key"):
        client.insert("comments", {"id": [1]})
    for call in (lambda: store.read([row("comments", [1])]), lambda: store.delete([row("comments", [1])])):
        with pytest.raises(StoreError, match="cannot be a key"):
            call()


def test_nothing_is_shared(store, client):
    """What is given and what is got can be changed by its owner without any effect."""
    given = {"id": 1, "tags": ["a", {"b": [1]}]}
    got = client.insert("comments", given)
    client.set("k", given["tags"])
    client.append("events", {"event": "e", "tags": given["tags"]})
    for owned in (given, got, client.get_row("comments", 1), client.update("comments", 1, x=1)):
        owned["tags"].append("changed")
    client.get("k").append("changed")
    client.entries("events")[0][1]["tags"].append("changed")
    for wanted in (client.get_row("comments", 1)["tags"], client.get("k"), client.entries("events")[0][1]["tags"]):
        assert wanted == ["a", {"b": [1]}]
    assert one(store, row("comments", 1)).value["tags"] == ["a", {"b": [1]}]


def test_what_cannot_be_copied(client):
    """A value with a lock in it is refused with its type."""
    with pytest.raises(StoreError, match="A dict cannot be copied: TypeError"):
        client.insert("comments", {"id": 1, "lock": threading.Lock()})


def test_values_in_a_circle(client):
    """A list that holds itself is copied as such."""
    circle = []
    circle.append(circle)
    client.set("k", circle)
    got = client.get("k")
    assert got is not circle
    assert got[0] is got


# Columns, folds, primary keys.


def test_columns(space):
    """Only the columns of the table are read, and a write leaves the others as they are."""
    wide = MemoryStore(tables=[COMMENTS], space=space).client()
    narrow = MemoryStore(tables=[evolve(COMMENTS, columns=("id", "version", "none"))], space=space)
    wide.insert("comments", {"id": 1, "body": "a", "version": 1})
    assert one(narrow, row("comments", 1)).value == {"id": 1, "version": 1}
    narrow.write([Record(row("comments", 1), {"id": 1, "version": 2}), Record(row("comments", 2), {"version": 5})])
    assert wide.rows("comments") == [{"id": 1, "body": "a", "version": 2}, {"id": 2, "version": 5}]


def test_folds(store):
    """All rows of a key are one value, in the order of the primary key, with the greatest version."""
    folded = Table("props", key="thing", version="v", fold=lambda rows: [each["name"] for each in rows], unfold=unfold)
    store = MemoryStore(tables=[folded], space=MemorySpace(primary={"props": ("thing", "name")}))
    client = store.client()
    for name, version in (("b", 2), ("a", 5), ("c", None)):
        client.insert("props", {"thing": 1, "name": name, "v": version})
    record = one(store, row("props", 1))
    assert (record.value, record.version, len(record.token), record.meta) == (["a", "b", "c"], 5, 3, {})
    with pytest.raises(DuplicateKey):
        client.insert("props", {"thing": 1, "name": "a"})
    assert client.update("props", 1, "a", v=9)["v"] == 9
    assert client.remove("props", 1, "b")
    changed = one(store, row("props", 1))
    assert (changed.value, changed.version) == (["a", "c"], 9)
    assert changed.token != record.token
    client.insert("props", {"thing": 1, "name": 7})
    assert len(one(store, row("props", 1)).value) == 3  # names without an order


def test_folds_without_a_primary_key():
    """Without a primary key the order of rows is the same wherever they are, and a change is one of all rows."""
    first, second = (
        MemoryStore(tables=[Table("props", key="thing", fold=lambda rows: [each["name"] for each in rows])])
        for _ in range(2)
    )
    for store, names in ((first, "ab"), (second, "ba")):
        for name in names:
            store.client().insert("props", {"thing": 1, "name": name})
    assert one(first, row("props", 1)).value == one(second, row("props", 1)).value == ["a", "b"]
    assert first.client().get_row("props", 1)["name"] == "a"
    first.client().update("props", 1, seen=True)
    assert [each["seen"] for each in first.client().rows("props")] == [True, True]
    assert first.client().remove("props", 1)
    assert first.client().rows("props") == []


def test_folds_are_hydrated():
    """A folded record is written by its unfold, or by the rows that were read, and not without either."""
    tables = [Table("there", key="thing", fold=fold, unfold=unfold), Table("back", key="thing", fold=fold)]
    store, other = MemoryStore(tables=tables), MemoryStore(tables=tables)
    for table in ("there", "back"):
        for name in "ab":
            store.client().insert(table, {"thing": 1, "name": name, "value": [name], "more": 1})
    refs = [row("there", 1), row("back", 1)]
    other.write(store.read(refs).records)
    assert [record.value for record in other.read(refs).records] == [{"a": ["a"], "b": ["b"]}] * 2
    assert "more" not in other.client().rows("there")[0]
    assert "more" in other.client().rows("back")[0]
    with pytest.raises(StoreError, match="unfold="):
        other.write([Record(row("back", 1), {"a": 1})])


@pytest.mark.parametrize("broken", ["fold", "unfold"])
def test_a_fold_that_fails(broken):
    """What a fold or its way back raises is told with the name of the table."""

    def fail(_):
        raise RuntimeError("secret")

    table = Table("props", key="thing", **{"fold": fold, "unfold": unfold, broken: fail})
    store = MemoryStore(tables=[table])
    store.client().insert("props", {"thing": 1, "name": "a", "value": 1})
    calls = {
        "fold": lambda: store.read([row("props", 1)]),
        "unfold": lambda: store.write([Record(row("props", 1), {"a": 1})]),
    }
    with pytest.raises(StoreError, match=f"^{broken} of props raised RuntimeError") as caught:
        calls[broken]()
    assert "secret" not in str(caught.value)


def test_a_ref_to_several_rows(space):
    """Without a fold a ref that leads to several rows is refused."""
    MemoryStore(tables=[LIKES], space=space).client().insert("likes", {"thing": 1, "account": "a"})
    MemoryStore(tables=[LIKES], space=space).client().insert("likes", {"thing": 1, "account": "b"})
    with pytest.raises(StoreError, match="leads to 2 rows"):
        MemoryStore(tables=[Table("likes", key="thing")], space=space).read([row("likes", 1)])


def test_rows_that_cannot_be_written(store, space):
    """A value that is no row, has another key, or another row's primary key is refused, and nothing is written."""
    fine = Record(row("comments", 1), {"body": "a"})
    for record, problem in (
        (Record(row("comments", 2), "text"), "a str, not a dict"),
        (Record(row("comments", 2), {"id": 3}), "another key than its ref"),
        (Record(row("likes", 2), {}), "has 1 values, its key 2"),
        (Record(row("nowhere", 2), {}), "no table 'nowhere'"),
    ):
        with pytest.raises(StoreError, match=problem):
            store.write([fine, record])
    assert not one(store, fine.ref).exists
    by_name = MemoryStore(tables=[Table("names", key="name")], space=MemorySpace(primary={"names": "id"}))
    by_name.client().insert("names", {"id": 1, "name": "a"})
    with pytest.raises(StoreError, match="primary key"):
        by_name.write([Record(row("names", "b"), {"id": 1, "name": "b"})])


# Keys.


def test_keys(client):
    """Keys hold values, whatever form the key has: as text, bytes or a number it is the same."""
    assert client.get("k") is None
    client.set("k", {"a": 1}, flags=3)
    assert client.get(b"k") == {"a": 1}
    assert (client.add("k", 2), client.add("n", 2)) == (False, True)
    client.set(7, "seven")
    assert client.get("7") == "seven"
    assert (client.delete("k"), client.delete("k")) == (True, False)
    assert client.get("k") is None


def test_times_to_live(store, client, now):
    """A key lives as long as it was told to, and is as if it were not there afterwards."""
    client.set("k", "v", ttl=10, flags=2)
    now[0] += 4
    assert one(store, key("k")).meta == {"flags": 2, "ttl": 6.0}
    assert client.touch("k", 20)
    assert one(store, key("k")).meta["ttl"] == 20.0
    assert client.touch("k", None)
    assert one(store, key("k")).meta["ttl"] is None
    client.touch("k", 5)
    now[0] += 5
    assert (client.get("k"), client.touch("k", 5), client.delete("k")) == (None, False, False)
    assert one(store, key("k")) == Record(key("k"))
    client.set("k", "v", ttl=1)
    now[0] += 1
    assert client.add("k", "w")
    assert one(store, key("k")).meta["ttl"] is None


def test_times_to_live_are_hydrated(store, client, now):
    """A record brings its time to live along, and one whose time is over is not written."""
    client.set("k", "v", ttl=10)
    client.set("n", "v", ttl=10)
    records = store.read([key("k"), key("n")]).records
    now[0] += 100
    store.write([records[0], evolve(records[1], meta={"ttl": 0})])
    assert (one(store, key("k")).meta["ttl"], one(store, key("n")).exists) == (10.0, False)


def test_what_is_over_is_forgotten(store, client, space, now, monkeypatch):
    """Keys whose time is over take no room for ever."""
    monkeypatch.setattr(space_module, "_SWEEP", 10)
    for number in range(8):
        client.set(f"k{number}", "v", ttl=1)
    now[0] += 2
    for _ in range(4):
        client.set("n", "v")
    assert list(space.shelf("key").cells) == ["n"]


@pytest.mark.parametrize("ttl", [0, -1, float("nan")])
def test_wrong_times_to_live(client, ttl):
    """A time to live that is not above zero is refused."""
    for call in (client.set, client.add):
        with pytest.raises(ConfigError, match=r"ttl is .*above 0"):
            call("k", "v", ttl=ttl)
    with pytest.raises(ConfigError, match="ttl is"):
        client.touch("k", ttl)


def test_counters(client, now):
    """A counter starts at zero, keeps its time to live, and holds nothing else."""
    assert (client.incr("n"), client.incr("n", 5), client.incr("n", -2)) == (1, 6, 4)
    client.set("t", 1, ttl=10)
    client.incr("t")
    now[0] += 10
    assert client.get("t") is None
    for wrong in ("text", None, [1]):
        client.set("n", wrong)
        with pytest.raises(StoreError, match="no whole number"):
            client.incr("n")


def test_a_codec():
    """With a codec keys hold bytes, which the client sees and the store decodes."""
    store = MemoryStore(codec=Json(), version=lambda value: value["v"])
    client = store.client()
    client.set("k", b'{"v": 3}', flags=9)
    assert client.get("k") == b'{"v": 3}'
    record = one(store, key("k"))
    assert (record.value, record.version, record.raw, record.meta["flags"]) == ({"v": 3}, 3, b'{"v": 3}', 9)
    assert (client.incr("n"), client.incr("n"), client.get("n")) == (1, 2, b"2")
    assert one(store, key("n")).version is None
    with pytest.raises(ConfigError, match="value is a dict"):
        client.set("k", {"v": 4})
    store.write([Record(key("k"), {"v": 5})])
    assert (client.get("k"), one(store, key("k")).meta["flags"]) == (b'{"v": 5}', 4)


def test_bytes_that_cannot_be_read():
    """What the codec cannot read is told with size and reason, and is hydrated as bytes, or not at all."""
    store, other, plain = MemoryStore(codec=Json(), version=len), MemoryStore(codec=Json()), MemoryStore()
    store.client().set("k", b"{torn")
    record = one(store, key("k"))
    assert record.value.size == 5
    assert record.value.reason.startswith("JSONDecodeError: ")
    assert record.version is None
    other.write([record])
    assert other.client().get("k") == b"{torn"
    for impossible, to in ((record, plain), (evolve(record, raw=None), other)):
        with pytest.raises(StoreError, match="could not be read"):
            to.write([impossible])


# Streams.


def test_entries(store, client, now):
    """Entries have ids of the time, go up, and are found by the event's own id, whatever form it has."""
    ids = [client.append("events", {"event": event}) for event in ("a", b"b", 3)]
    assert ids == ["1000000-0", "1000000-1", "1000000-2"]
    now[0] = 900.0
    assert client.append("events", {"other": 1}) == "1000000-3"
    now[0] = 1000.5
    assert client.append("events", {}) == "1000500-0"
    assert client.entries("events")[2] == ("1000000-2", {"event": 3})
    for event in ("a", "b", b"b", 3, "3", "1000000-3"):
        assert one(store, entry("events", event)).exists
    assert one(store, entry("events", "a")).token == "1000000-0"


def test_doubled_entries(store, client):
    """An event that is there twice is one record, with its first entry and their number."""
    mark = store.read([]).mark
    for body in ("x", "y"):
        client.append("events", {"event": "a", "body": body})
    reading = store.read([entry("events", "a")], since=mark)
    assert reading.records[0].value["body"] == "x"
    assert reading.records[0].meta == {"count": 2}
    assert reading.changed == (Change(entry("events", "a"), reading.changed[0].at, 2),)
    store.write(reading.records)
    assert [fields["body"] for _, fields in client.entries("events")] == ["x"]


def test_chosen_entry_ids(store, client):
    """An entry's id may be chosen, once; those that are made are greater."""
    assert client.append("log", {"a": 1}, id="9000000000000-5") == "9000000000000-5"
    with pytest.raises(DuplicateKey, match="log"):
        client.append("log", {"a": 2}, id="9000000000000-5")
    assert client.append("log", {"a": 2}, id="7-1") == "7-1"
    assert client.append("log", {"a": 3}) == "9000000000000-6"
    assert one(store, entry("log", "7-1")).value == {"a": 2}
    for wrong in ("7", "a-b", "7-1 "):
        with pytest.raises(StoreError, match="id of an entry"):
            client.append("log", {}, id=wrong)
    for call in (client.append, client.entries):
        with pytest.raises(StoreError, match="no name"):
            call("", *([{}] if call == client.append else []))


def test_payloads():
    """A payload is decoded, told by a field or a key of its own, and hydrated with the fields beside it."""
    stream = Stream("events", id="id", payload="data", codec=Json(), version=lambda event: event["v"])
    store, other = MemoryStore(streams=[stream]), MemoryStore(streams=[stream])
    client = store.client()
    client.append("events", {"id": b"a", "data": b'{"v": 1}', "trace": b"t"})
    client.append("events", {"data": b'{"v": 2, "id": "b"}'})
    client.append("events", {"id": "c"})
    client.append("events", {"id": "d", "data": b"[1]"})
    refs = [entry("events", event) for event in "abcd"]
    records = store.read(refs).records
    assert [record.value for record in records[:2]] == [{"v": 1}, {"v": 2, "id": "b"}]
    assert [record.version for record in records] == [1, 2, None, None]
    assert records[0].raw == b'{"v": 1}'
    assert isinstance(records[2].value, Undecodable)
    other.write([records[0], records[1], Record(refs[3], {"v": 9})])
    assert [fields for _, fields in other.client().entries("events")] == [
        {"id": b"a", "data": b'{"v": 1}', "trace": b"t"},
        {"data": b'{"v": 2, "id": "b"}'},
        {"data": b'{"v": 9}', "id": b"d"},
    ]
    with pytest.raises(StoreError, match="could not be read"):
        other.write([records[2]])
    with pytest.raises(StoreError, match="lone surrogates"):
        other.write([Record(entry("events", "\ud800"), {"v": 9})])


def test_fields_of_a_codec():
    """Without a payload each field is decoded and encoded; what is no bytes stays as it is."""
    store = MemoryStore(streams=[Stream("events", id="id", codec=Json())])
    store.client().append("events", {"id": "a", "body": b"[1]", "torn": b"["})
    value = one(store, entry("events", "a")).value
    assert (value["id"], value["body"], value["torn"].size) == ("a", [1], 1)
    store.write([Record(entry("events", "b"), {"id": "b", "body": [2]})])
    assert store.client().entries("events")[1][1] == {"id": b"b", "body": b"[2]"}
    with pytest.raises(StoreError, match="a list, not a dict"):
        store.write([Record(entry("events", "c"), [1])])


# Changes.


def test_changes(store, client):
    """Changes are told of rows and entries, once, in their order, and not of keys, deletions or other tables."""
    quiet = MemoryStore(tables=[evolve(COMMENTS, footprint=False), LIKES], space=store.space)
    client.insert("comments", {"id": 1})
    mark = store.read([]).mark
    client.insert("likes", {"thing": 1, "account": "a"})
    client.append("events", {"event": 1})
    client.append("undeclared", {"event": 1})
    client.insert("comments", {"id": 2})
    client.insert("comments", {"id": 3})
    client.update("comments", 2, body="b")
    client.remove("comments", 3)
    client.set("k", "v")
    changed = store.read([], since=mark).changed
    assert [change.ref for change in changed] == [row("likes", 1, "a"), entry("events", "1"), row("comments", 2)]
    assert [change.ref for change in quiet.read([], since=mark).changed] == [row("likes", 1, "a")]
    assert store.read([], since=changed[1].at).changed == changed[1:]
    assert store.read([], since=changed[1].at + 1).changed == changed[2:]
    with pytest.raises(StoreError, match="no mark"):
        store.read([], since="yesterday")


def test_many_changes(store, client):
    """At most a thousand changes are told, the first ones."""
    with client.transaction() as change:
        for number in range(1005):
            change.insert("comments", {"id": number})
    changed = store.read([], since=0).changed
    assert [each.ref.key[0] for each in changed] == list(range(1000))


# Transactions.


def test_a_transaction(store, client):
    """Nobody sees a transaction before its end, which itself sees all of it, and then all is there at once."""
    client.insert("comments", {"id": 1, "body": "a"})
    mark = store.read([]).mark
    with client.transaction() as change:
        change.update("comments", 1, body="b")
        change.update("comments", 1, more=1)
        change.insert("comments", {"body": "new"})
        change.insert("likes", {"thing": 1, "account": "a"})
        change.remove("likes", 1, "a")
        change.set("k", "v")
        change.append("events", {"event": "e"})
        assert change.get_row("comments", 1) == {"id": 1, "body": "b", "more": 1}
        assert change.rows("comments") == [{"id": 1, "body": "b", "more": 1}, {"id": 2, "body": "new"}]
        assert (change.get("k"), len(change.entries("events")), change.rows("likes")) == ("v", 1, [])
        with pytest.raises(DuplicateKey):
            change.insert("comments", {"id": 2})
        assert client.rows("comments") == [{"id": 1, "body": "a"}]
        assert (client.get("k"), client.entries("events")) == (None, [])
        assert store.read([row("comments", 1)], since=mark).changed == ()
    assert len(store.read([], since=mark).changed) == 3
    assert client.get_row("comments", 2) == {"id": 2, "body": "new"}
    with pytest.raises(StoreError, match="has ended"):
        change.get("k")


def test_a_transaction_that_fails(store, client, space):
    """After an exception nothing of a transaction is there, nor after an outage at its end."""
    client.insert("comments", {"id": 1, "body": "a"})
    before = store.read([row("comments", 1)])

    def fail():
        with client.transaction() as change:
            change.update("comments", 1, body="b")
            raise RuntimeError

    def lose(outages):
        with client.transaction() as change:
            change.update("comments", 1, body="b")
            outages.enter_context(space.outage())

    with pytest.raises(RuntimeError):
        fail()
    with ExitStack() as outages, pytest.raises(StoreUnavailable):
        lose(outages)
    assert store.read([row("comments", 1)]) == before


def test_transactions_take_turns(client):
    """Transactions of several threads that read, add and write lose no increment."""
    client.insert("comments", {"id": 1, "version": 0})

    def work():
        for _ in range(100):
            with client.transaction() as change:
                version = change.get_row("comments", 1)["version"]
                change.update("comments", 1, version=version + 1)
            client.incr("n")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (client.get_row("comments", 1)["version"], client.get("n")) == (800, 800)


def test_a_transaction_that_stays_open(store, client, monkeypatch):
    """While a transaction is open reads go on, and writes of other threads give up in the end."""
    monkeypatch.setattr(space_module, "TIMEOUT", 0.05)
    errors = []

    def write():
        for call in (lambda: client.set("k", "v"), lambda: store.write([Record(key("k"), 1)])):
            try:
                call()
            except StoreUnavailable as error:
                errors.append(str(error))
        assert client.get("k") is None

    with client.transaction():
        thread = threading.Thread(target=write)
        thread.start()
        thread.join(20)
    assert len(errors) == 2
    assert "open transaction" in errors[0]


def test_changes_beside_a_transaction(client):
    """What its own thread changes beside a transaction is not overwritten by it."""
    client.insert("comments", {"id": 1, "body": "a"})

    def both(verb, *arguments):
        with client.transaction() as change:
            getattr(change, verb)("comments", *arguments)
            getattr(client, verb)("comments", *arguments)

    with pytest.raises(StoreError, match="beside it"):
        both("remove", 1)
    with pytest.raises(StoreError, match="beside it"):
        both("insert", {"id": 2, "body": "c"})
    assert [each["body"] for each in client.rows("comments")] == ["c"]
    client.insert("comments", {"id": 1, "body": "c"})
    with client.transaction() as change:
        change.update("comments", 1, body="d")
        client.update("comments", 2, body="e")
    assert {each["id"]: each["body"] for each in client.rows("comments")} == {1: "d", 2: "e"}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["insert", "update", "remove", "commit", "roll back"]), st.integers(1, 3), st.integers(0, 5)
    ),
    max_size=12,
)


class RollBack(Exception):
    """Ends a transaction of the model."""


@given(STEPS)
def test_transactions_agree_with_a_dict(steps):
    """After any transactions, committed or not, the rows are what a dict would have."""
    store = MemoryStore(tables=[COMMENTS])
    client, model = store.client(), {}
    pending = []
    for step in [*steps, ("commit", 1, 0)]:
        if step[0] not in ("commit", "roll back"):
            pending.append(step)
            continue
        draft = dict(model)
        try:
            with client.transaction() as change:
                for verb, number, value in pending:
                    play(change, draft, verb, number=number, value=value)
                    assert {each["id"]: each["v"] for each in change.rows("comments")} == draft
                if step[0] == "roll back":
                    raise RollBack
            model = draft
        except RollBack:
            pass
        pending.clear()
        assert {each["id"]: each["v"] for each in client.rows("comments")} == model
        for number in (1, 2, 3):
            value = one(store, row("comments", number)).value
            assert value == ({"id": number, "v": model[number]} if number in model else MISSING)


def play(change, model, verb, *, number, value):
    """Do one step in both."""
    if verb == "insert" and number in model:
        with pytest.raises(DuplicateKey):
            change.insert("comments", {"id": number, "v": value})
    elif verb == "insert":
        change.insert("comments", {"id": number, "v": value})
        model[number] = value
    elif verb == "update":
        assert (change.update("comments", number, v=value) is None) == (number not in model)
        if number in model:
            model[number] = value
    else:
        assert change.remove("comments", number) == (model.pop(number, None) is not None)


# Spaces, faults, roles.


def test_spaces(space):
    """Stores have a space of their own unless they are given one."""
    first, second = MemoryStore(space=space), MemoryStore(space=space)
    assert first.identity() == second.identity() == space.identity != MemoryStore().identity()
    assert repr(first) == f"MemoryStore({space!r})"
    assert repr(first.client()) == f"MemoryClient({space!r})"


def test_another_handle_knows_less(space):
    """Handles of one space may declare different tables and streams, or none."""
    plain = MemoryStore(space=space)
    plain.client().append("events", {"event": "a"}, id="1-1")
    told = MemoryStore(tables=[COMMENTS], streams=[Stream("events", id="event")], space=space)
    assert one(told, entry("events", "a")).value == one(plain, entry("events", "1-1")).value
    told.client().insert("comments", {"id": 1})
    plain.reset()
    assert told.client().rows("comments") == [{"id": 1}]
    told.reset()
    assert (told.client().rows("comments"), plain.client().entries("events")) == ([], [])


def test_outages(store, client, space):
    """During an outage every call of stores and clients raises, outages may overlap, and afterwards all is there."""
    client.insert("comments", {"id": 1})
    calls = (
        store.identity,
        store.reset,
        lambda: store.read([]),
        lambda: asyncio.run(store.aread([])),
        lambda: store.write([]),
        lambda: store.delete([]),
        lambda: store.plant("a"),
        lambda: store.finds("a"),
        lambda: client.get("k"),
        lambda: client.set("k", "v"),
        lambda: client.transaction().__enter__(),
    )
    with space.outage():
        with space.outage():
            pass
        for call in calls:
            with pytest.raises(StoreUnavailable, match="does not answer"):
                call()
        store.client()
        store.forbid_writes()
        store.close()
    assert client.rows("comments") == [{"id": 1}]


def test_a_slow_space(store, client, space):
    """A slow space delays every call, up to the time the call has, and a loop goes on meanwhile."""
    space.delay = 0.02
    started = time.monotonic()
    client.set("k", "v")
    store.read([])
    assert time.monotonic() - started >= 0.04
    space.delay = 60.0
    for call in (
        lambda: store.read([], timeout=0.01),
        lambda: asyncio.run(store.aread([], timeout=0.01)),
    ):
        with pytest.raises(StoreUnavailable):
            call()
    space.delay = 0.05

    async def both():
        done = []

        async def read():
            done.append(len((await store.aread([key("k")])).records))

        async def other():
            done.append("other")

        await asyncio.gather(read(), other())
        return done

    assert asyncio.run(both()) == ["other", 1]


def test_roles(store, client):
    """The checked side is refused the client of a store that is production."""
    store.forbid_writes()
    _roles.declare(store)
    assert store.client() is client
    token = MIRRORED.set(True)
    try:
        with pytest.raises(ProductionRefused):
            store.client()
    finally:
        MIRRORED.reset(token)
    client.set("k", "v")
    with pytest.raises(ProductionRefused, match="unable to write"):
        store.reset()


def test_marks_of_isolation(store, space):
    """An empty mark is never found."""
    assert not store.finds("")
    store.plant("a")
    assert MemoryStore(space=space).finds("a")
    assert not store.finds("")


def test_a_fork_in_a_transaction(store, client):
    """A child that is forked while locks are held, by its own thread or another, can use its copy."""
    client.set("k", "v")
    held, done = threading.Event(), threading.Event()

    def hold():
        with client.transaction():
            held.set()
            done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(20)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            client.set("k", "child")
            code = 0 if one(store, key("k")).value == "child" else 2
        finally:
            os._exit(code)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client.get("k") == "v"


@frozen
class NoCodec:
    """Lacks everything."""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("codec", NoCodec()),
        ("version", "version"),
        ("space", "here"),
        ("tables", ["comments"]),
        ("tables", [COMMENTS, COMMENTS]),
        ("streams", ["events"]),
        ("streams", [Stream("events"), Stream("events", id="x")]),
    ],
)
def test_wrong_options(field, value):
    """A wrong option is refused with its name when the store is built."""
    with pytest.raises(ConfigError, match=f"^{field} ") as caught:
        MemoryStore(**{field: value})
    assert caught.value.field == field


@pytest.mark.parametrize("primary", ["", (), [1], 7])
def test_wrong_primary_keys(primary):
    """A primary key that is no name or list of names is refused."""
    with pytest.raises(ConfigError, match="primary of comments"):
        MemorySpace(primary={"comments": primary})
