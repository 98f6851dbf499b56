"""
Giving a sister in Postgres the schema of production: through the catalog, so that no client program is needed.

Danger: foreign keys are left out, because a sister holds only part of the rows, and a child would be refused whose
parent was never hydrated. A candidate that relies on one (a cascade, a refusal) behaves otherwise in the sister.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import psycopg
from attrs import Factory, frozen
from psycopg import sql

from shadowmig.errors import StoreError
from shadowmig.stores import _pg_definitions, _pg_needs
from shadowmig.stores._pg_definitions import KINDS, Address, Definition
from shadowmig.stores._pg_job import Cursor, Source, checked_names, find, reported, transaction
from shadowmig.stores.tables import Table

GAP: Final = 1_000_000_000
"""
How far, in values, the sister's sequences start from production's last one; half of what is left, if that is less.

So a record that the candidate numbers itself is not overwritten later, when production has come to the same number
and its record is hydrated. It is still a number that fits the column, and below 2**53, which JSON can carry.
"""

_WHAT: Final = "Provisioning the sister"
_YOURSELF: Final = "if it is needed, create it in the sister yourself before you provision"
_CATALOGS: Final = {kind.catalog for kind in KINDS}


@frozen
class Provisioned:
    """
    What provisioning did.

    Attributes:
        created: What was made in the sister, in its order, as ``"table public.comments"``.
        present: What the sister had already, as production has it.
        left_out: What was not cloned, with the reason.
    """

    created: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    left_out: Mapping[str, str] = Factory(dict)


def provision(
    production: psycopg.Connection[Any], sister: psycopg.Connection[Any], *, tables: Sequence[Table | str]
) -> Provisioned:
    """
    Clone tables, and all that they need, from production's schema to the sister.

    Cloned are schemas, extensions, collations, types (enum, domain, composite, range), functions that defaults, checks,
    generated columns, indexes and triggers call, sequences, tables with all their columns, primary keys, unique, check
    and exclusion constraints, indexes, partitions, and triggers, since these are part of what a write does. Left out
    are rows (see `backfill`), foreign keys, views, rules, rights, owners, comments, statistics and the storage
    parameters of tables.

    Production is read in one read-only transaction. The sister gets everything in one transaction or nothing. What is
    there already stays as it is; nothing is ever dropped. Sequences made here start `GAP` past production's.

    Args:
        production: An idle connection, which may be to a standby.
        sister: An idle connection whose user may create all this.
        tables: The tables; partitions come with them.

    Raises:
        ConfigError: ``tables`` is empty, or a name cannot be one.
        StoreUnavailable: A connection was lost.
        StoreError: The sister has another table, type or other object of a name that is needed, with the columns that
            differ in the message; or it refused something. Nothing was changed.
    """
    checked_names(tables)
    with transaction(production, "Reading production's schema", read_only=True) as cursor:
        sources = [find(cursor, table) for table in tables]
        plan, left_out, sequences = _read(cursor, sources)
    exact = production.info.server_version // 10_000 == sister.info.server_version // 10_000
    with transaction(sister, _WHAT) as cursor:
        # Two processes that start together take turns.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('shadowmig provision'))")
        path = _spell_out(cursor)
        theirs = _pg_definitions.read_by_names(cursor, plan)
        _refuse_others(plan, theirs, exact=exact)
        missing = [definition for definition in plan if definition.key not in theirs]
        _create(cursor, missing, [what for what, why in left_out.items() if why.endswith(_YOURSELF)])
        _set_sequences(cursor, sequences, {definition.address for definition in missing})
        cursor.execute("SELECT set_config('search_path', %s, true)", [path])
        for source in sources:
            _require_found(cursor, source)
    return Provisioned(
        tuple(map(str, missing)),
        tuple(str(each) for each in plan if each.key in theirs),
        dict(sorted(left_out.items())),
    )


def _spell_out(cursor: Cursor) -> str:
    """Have the server qualify and quote every name, for this transaction, and give the ``search_path`` it had."""
    path = cursor.execute("SELECT current_setting('search_path')").fetchone()
    cursor.execute(
        "SELECT set_config('search_path', '', true), set_config('quote_all_identifiers', 'on', true),"
        " set_config('check_function_bodies', 'off', true), set_config('extra_float_digits', '3', true)"
    )
    assert path is not None
    return str(path[0])


def _read(cursor: Cursor, sources: Sequence[Source]) -> tuple[list[Definition], dict[str, str], list[tuple[Any, ...]]]:
    """Read production: what to make in its order, what is left out and why, where its sequences are."""
    _spell_out(cursor)
    tables = _pg_needs.with_partitions(cursor, sources)
    needs = _pg_needs.needs_of(cursor, tables)
    own = needs.of.keys() - needs.members
    strange = [address for address in own if address[0] not in _CATALOGS]
    for words in _pg_needs.words_for(cursor, strange):
        needs.left_out[words] = f"not cloned: {_YOURSELF}"
    definitions: dict[Address, list[Definition]] = {}
    for each in _pg_definitions.read(cursor, own):
        if each.reason:
            needs.left_out[str(each)] = f"{each.reason}: {_YOURSELF}"
        elif each.statement is not None:
            definitions.setdefault(each.address, []).append(each)
    relations = [oid for catalog, oid in needs.of if catalog == "pg_class"]
    sequences = cursor.execute(_LAST_VALUES, {"oids": relations}).fetchall()
    return _pg_needs.in_order(needs, definitions), needs.left_out, sequences


def _refuse_others(plan: Sequence[Definition], theirs: Mapping[tuple[str, ...], Definition], *, exact: bool) -> None:
    """
    Refuse a sister that has something else under the name of something needed.

    Args:
        plan: What production has.
        theirs: What the sister has.
        exact: Whether both servers are of one major version: others may spell the same expression otherwise.
    """
    wrong: list[str] = []
    columns: dict[str, tuple[str, ...]] = {}
    for ours in plan:
        other = theirs.get(ours.key)
        if other is None:
            continue
        if ours.columns is not None or other.columns is not None:
            differ = _differing(ours.columns or {}, other.columns or {}, exact=exact)
            if differ:
                columns[".".join(ours.name)] = differ
                wrong.append(f"{ours} (columns {', '.join(differ)})")
        elif ours.statement != other.statement and (exact or (ours.firm and other.firm)):
            wrong.append(str(ours))
    if wrong:
        raise StoreError(
            f"The sister has otherwise than production: {'; '.join(wrong)}.",
            remedy="Drop it there, or alter it to be as in production, and provision again. Nothing was changed.",
            columns=columns,
        )


def _differing(ours: dict[str, list[str]], theirs: dict[str, list[str]], *, exact: bool) -> tuple[str, ...]:
    parts = 2 if exact else 1
    return tuple(
        name
        for name in sorted(ours.keys() | theirs.keys())
        if ours.get(name, [None])[:parts] != theirs.get(name, [None])[:parts]
    )


def _create(cursor: Cursor, missing: Sequence[Definition], not_cloned: Sequence[str]) -> None:
    for each in missing:
        remedy = "Give the sister's user the right, or what this needs"
        if each.label == "extension":
            remedy = f"Have an administrator run CREATE EXTENSION {each.name[0]} in the sister's database"
        elif not_cloned:
            remedy += f" (not cloned: {', '.join(not_cloned)})"
        with reported(f"{_WHAT}: making {each}", remedy=f"{remedy}, and provision again. Nothing was changed."):
            cursor.execute(sql.SQL(cast("Any", each.statement)))
    for each in missing:
        if each.after is not None:
            with reported(f"{_WHAT}: completing {each}"):
                cursor.execute(sql.SQL(cast("Any", each.after)))


def _require_found(cursor: Cursor, source: Source) -> None:
    """Refuse a sister in which the table is there, but not where its store will look."""
    there = find(cursor, source.table or source.name, where="the sister")
    if there.schema != source.schema:
        raise StoreError(
            f"The sister's search_path leads to {there}, not to {source}.",
            remedy="Give the Table a schema=, or the sister's connections the search_path of production's.",
        )


_LAST_VALUES = """
SELECT o.oid::int8, d.refobjid::int8, n.nspname::text, o.relname::text, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle,
    coalesce(CASE WHEN has_sequence_privilege(o.oid, 'SELECT, USAGE') THEN pg_sequence_last_value(o.oid) END,
        s.seqstart)
FROM pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace JOIN pg_sequence s ON s.seqrelid = o.oid
    LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = o.oid
        AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'i'
WHERE o.oid = ANY(%(oids)s::oid[]) OR d.refobjid = ANY(%(oids)s::oid[])
"""


def _set_sequences(cursor: Cursor, sequences: Sequence[tuple[Any, ...]], made: set[Address]) -> None:
    """Start sequences that were made here, on their own or with an identity column, far from production's numbers."""
    for oid, table, schema, name, step, least, most, cycles, last in sequences:
        if ("pg_class", oid) in made or ("pg_class", table) in made:
            room = (most - last if step > 0 else last - least) // 2
            value = last if cycles else last + min(GAP, room) // abs(step) * step
            cursor.execute("SELECT setval(format('%%I.%%I', %s::text, %s::text)::regclass, %s)", [schema, name, value])
