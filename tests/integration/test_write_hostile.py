"""Writes over three real stores with hostile names and values, and schemas that change under the comparison."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from psycopg import sql
from write_faults_servers import own, run
from write_faults_service import Names
from write_faults_support import STORES, harmless

from shadowmig.testing.servers import Memcached

if TYPE_CHECKING:
    from write_faults_places import Places

BROKEN = {"broken": 1, "broken:sister": 1}


# Names ----------------------------------------------------------------------------------------------------------------

TABLES = {
    "quotes": 'we"ird; DROP TABLE "victims"; --',
    "dots": "public.victims",
    "spaces": "  a table  of\nmany\twords ",
    "marks": "100%s $1 {} :x \\ it's",
    "unicode": "Ünï☃ 😀",
}
KEYS = {
    "quotes": "'); DROP TABLE victims; --",
    "spaces": " spaces \t and\nnewlines\r\n",
    "empty": "",
    "marks": "%s {} $1 \\ \" ' NULL",
    "unicode": "Ünï☃ 😀",
}


def _unharmed(*urls: str) -> bool:
    """Whether nobody has touched the table that injected statements would drop."""
    return all(run(url, "SELECT count(*) FROM victims") == [(1,)] for url in urls)


def _victims(*urls: str) -> None:
    for url in urls:
        run(url, "CREATE TABLE victims AS SELECT 1 AS id")


@pytest.mark.parametrize("kind", TABLES)
def test_hostile_tables(places: Places, kind: str) -> None:
    """Tables and streams with hostile names are compared, and a defect in them is found."""
    names = Names(table=TABLES[kind], stream=f"stream of {TABLES[kind]}")
    with places.world(names=names) as world:
        urls = world.site.production["db"], world.servers["db"]
        _victims(*urls)
        number = world.comment()
        world.matches(number, 1)
        assert world.create("new")["body"] == "new"
        assert world.verdicts() == {"match": 1}, world.last()
        for store in STORES:
            world.finds(number, store)
        run(urls[1], sql.SQL("DROP TABLE {}").format(names.name))
        world.write(number)
        assert world.verdicts() == BROKEN, world.last()
        assert _unharmed(*urls)


@pytest.mark.parametrize("kind", KEYS)
def test_hostile_keys(places: Places, kind: str) -> None:
    """Keys of rows and ids of events with hostile texts are compared, and a defect in them is found."""
    names = Names(id_type="text", event=f"{KEYS[kind]} event ")
    with places.world(names=names) as world:
        urls = world.site.production["db"], world.servers["db"]
        _victims(*urls)
        hashed = {KEYS[kind]: 1}
        world.key_name = lambda number: f"{world.site.prefix}{hashed.get(number, 2)}"  # type: ignore[method-assign]  # pymemcache takes no spaces
        world.comment(KEYS[kind])
        world.matches(KEYS[kind], 1)
        for store in STORES:
            world.finds(KEYS[kind], store)
        assert _unharmed(*urls)


def test_binary_keys(places: Places) -> None:
    """Keys of bytes that are no text are compared, and a defect in them is found."""
    with places.world(names=Names(prefix=b"\x80\xff'\"\\;")) as world:
        number = world.comment()
        world.matches(number, 1)
        for store in STORES:
            world.finds(number, store)
        (finding,) = [one for one in world.migration.findings() if one.store == "cache"]
        assert finding.examples[0].record.isprintable()


def test_impossible_key(places: Places) -> None:
    """A key that the store cannot have, named in touches=, is a named failure of the verifier and harms no user."""
    with places.world() as world:
        number = world.comment()
        world.matches(number, 1)
        for key in ("x" * 300, b"x" * 300, "NUL \0 in it" * 40, 7, None):
            handler = world.migration.write(
                world.old.edit,
                candidate=world.new.edit,
                name=f"edit {str(key)[:5]} {type(key)}",
                **{**world.options, "touches": lambda call, key=key: [world.cache.key(key)]},
            )
            assert handler(number, "body")["body"] == "body"
            found = world.verdicts()
            assert set(found) in ({"broken", "broken:production"}, {"broken", "broken:touches"}), (key, found)
        world.recovers(number, "cache")


# Values ---------------------------------------------------------------------------------------------------------------

HOSTILE = ["", "\\x00", "'); DROP TABLE victims; --", "%s %(id)s {} $1", "\u2028\ufeff\ud7ff😀", "\r\n END\r\n", "NULL"]


def test_hostile_values(places: Places) -> None:
    """Texts that mean something to the servers' languages are only texts."""
    with places.world() as world:
        urls = world.site.production["db"], world.servers["db"]
        _victims(*urls)
        number = world.comment()
        for body in HOSTILE:
            if body:
                world.write(number, body)
                assert world.verdicts() == {"match": 1}, world.last()
        world.recovers(number, "db")
        assert _unharmed(*urls)


def test_large_values(places: Places) -> None:
    """Values of a megabyte are compared, and a change of their last character is found in any store."""
    body = "a megabyte " * 95_326
    assert len(body) > 1 << 20
    large = {"-I": "4m"}
    with own(Memcached(settings=large)) as ours, own(Memcached(settings=large)) as theirs, ExitStack() as stack:
        addresses = {"production": {"cache": ours.url}, "sister": {"cache": theirs.url}}
        world = stack.enter_context(places.world(**addresses, timeout=5, patience=5, snapshot_limit=8 << 20))
        number = world.comment()
        for turn in range(2):
            world.write(number, f"{turn} {body}")
            assert world.verdicts() == {"match": 1}, world.last()
        world.new.defect = "db"  # which puts one character to its end
        world.write(number, body)
        assert world.verdicts() == {"mismatch": 1}, world.last()
        assert world.differences() == {("db", "$.body", "changed")}
        assert all(len(example.control) < 10_000 for one in world.migration.findings() for example in one.examples)
        world.new.defect = ""
        world.recovers(number, "cache")


def test_too_large_values(places: Places) -> None:
    """A value above the limit of copies is skipped, and one that only the sister refuses breaks the call."""
    with own(Memcached(settings={"-I": "4m"})) as ours, ExitStack() as stack:
        world = stack.enter_context(places.world(production={"cache": ours.url}, timeout=5, patience=5))
        number = world.comment()
        world.write(number, "x" * (2 << 20))
        found = world.verdicts()
        assert set(found) == {"skipped", "skipped:too_large"}, (found, world.last())
        world.write(number)  # whose hydrated record is too large for the sister
        assert world.verdicts() == BROKEN, world.last()
        world.recovers(number, "cache")


# Schemas --------------------------------------------------------------------------------------------------------------


def test_dropped_table(places: Places) -> None:
    """A sister's table that is dropped breaks calls until it is there again."""
    with places.world() as world:
        number = world.comment()
        world.matches(number, 1)
        run(world.servers["db"], "DROP TABLE comments")
        for _ in range(2):
            world.write(number)
            assert world.verdicts() == BROKEN, world.last()
        assert world.db.provision() is not None
        world.recovers(number, "db")


def test_table_dropped_under_the_candidate(places: Places) -> None:
    """A sister's table that is dropped before its records are read breaks the call."""
    with places.world() as world:
        number = world.comment()
        world.matches(number, 1)
        world.new.after["events"] = lambda: run(world.servers["db"], "DROP TABLE comments")
        world.write(number)
        assert world.verdicts() == BROKEN, world.last()
        world.new.after.clear()
        world.db.provision()
        world.recovers(number, "db")


def test_production_table_gone_for_the_verifier(places: Places) -> None:
    """A table of production that is gone after the write breaks the call, and one gone before it too."""
    with places.world() as world:
        number = world.comment()
        world.matches(number, 1)
        production = world.site.production["db"]
        world.old.after["events"] = lambda: run(production, "ALTER TABLE comments RENAME TO elsewhere")
        world.write(number)
        assert world.verdicts() == {"broken": 1, "broken:production": 1}, world.last()
        world.old.after.clear()
        with pytest.raises(Exception, match="comments"):
            world.edit(number, "nowhere")
        assert world.verdicts() == {"broken": 1, "broken:hydrate": 1}, world.last()
        run(production, "ALTER TABLE elsewhere RENAME TO comments")
        world.recovers(number, "db")


CHANGES = {
    "dropped": ("ALTER TABLE comments DROP COLUMN body", "ALTER TABLE comments ADD COLUMN body text"),
    "renamed": ("ALTER TABLE comments RENAME body TO text", "ALTER TABLE comments RENAME text TO body"),
    "added": ("ALTER TABLE comments ADD COLUMN more int DEFAULT 7", "ALTER TABLE comments DROP COLUMN more"),
    "retyped": (
        "ALTER TABLE comments ALTER COLUMN version TYPE text",
        "ALTER TABLE comments ALTER COLUMN version TYPE int USING version::int",
    ),
    "key": (
        "ALTER TABLE comments ALTER COLUMN id TYPE text",
        "ALTER TABLE comments ALTER COLUMN id TYPE int USING id::int",
    ),
}


@pytest.mark.parametrize("when", ["before", "between"])
@pytest.mark.parametrize("kind", CHANGES)
def test_columns_changed(places: Places, kind: str, when: str) -> None:
    """Columns of the sister that change are a named error or difference of the record, and calls go on afterwards."""
    change, back = CHANGES[kind]
    with places.world() as world:
        number = world.comment()
        world.matches(number)
        if when == "before":
            run(world.servers["db"], change)
        else:
            world.new.after["events"] = lambda: run(world.servers["db"], change)
        world.write(number)
        found = world.verdicts()
        world.new.after.clear()
        assert set(found) in ({"mismatch"}, {"broken", "broken:sister"}), world.last()
        if found == {"mismatch": 1}:
            assert {(store, path.split(".")[0]) for store, path, _ in world.differences()} >= {("db", "$")}
        run(world.servers["db"], back, "TRUNCATE comments")
        world.recovers(number, "db")


@pytest.mark.parametrize("side", ["production", "sister first"])
def test_column_added_by_a_migration(places: Places, side: str) -> None:
    """A column that one side has already is a difference by its name, and none once both have it."""
    with places.world() as world:
        number = world.comment()
        world.matches(number, 1)
        urls = [world.site.production["db"], world.servers["db"]]
        if side != "production":
            urls.reverse()
        run(urls[0], "ALTER TABLE comments ADD COLUMN more int DEFAULT 7")
        handler = world.edit
        handler(number, "body")
        found = world.verdicts()
        assert found == {"mismatch": 1} or harmless(found), world.last()
        run(urls[1], "ALTER TABLE comments ADD COLUMN more int DEFAULT 7")
        handler(number, "body 2")
        assert world.verdicts() == {"match": 1}, world.last()
