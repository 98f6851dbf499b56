"""
What tables of Postgres need, as the server's own record of dependencies (``pg_depend``) tells it.

Danger: that record does not know what the text of a function mentions. So functions, sequences and types whose names
occur as words in a function that is needed are taken to be needed too, and tables are reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import Factory, define

from shadowmig.stores._pg_definitions import Address, Definition
from shadowmig.stores._pg_job import Cursor, Source

_PARTITIONS = """
WITH RECURSIVE part(oid) AS (
    SELECT unnest(%(oids)s::oid[])
    UNION
    SELECT i.inhrelid FROM pg_inherits i JOIN part p ON p.oid = i.inhparent JOIN pg_class c ON c.oid = i.inhrelid
    WHERE c.relispartition AND c.relkind IN ('r', 'p')
)
SELECT oid::int8 FROM part
"""

_BELONGINGS = """
SELECT 'pg_attrdef', oid::int8 FROM pg_attrdef WHERE adrelid = ANY(%(oids)s::oid[])
UNION ALL SELECT 'pg_constraint', oid::int8 FROM pg_constraint WHERE conrelid = ANY(%(oids)s::oid[]) AND contype <> 'f'
UNION ALL SELECT 'pg_class', indexrelid::int8 FROM pg_index WHERE indrelid = ANY(%(oids)s::oid[])
UNION ALL SELECT 'pg_trigger', oid::int8 FROM pg_trigger WHERE tgrelid = ANY(%(oids)s::oid[]) AND NOT tgisinternal
    AND coalesce(to_jsonb(pg_trigger) ->> 'tgparentid', '0') = '0'
UNION ALL SELECT 'pg_inherits', i.inhrelid::int8 FROM pg_inherits i LEFT JOIN pg_index x ON x.indexrelid = i.inhrelid
    WHERE coalesce(x.indrelid, i.inhrelid) = ANY(%(oids)s::oid[])
"""

_NEEDS = """
WITH fresh AS (SELECT * FROM unnest(%(catalogs)s::text[], %(oids)s::oid[]) f(catalog, oid)),
edges AS (
    SELECT f.catalog, f.oid, d.refclassid, d.refobjid, d.deptype::text
    FROM fresh f JOIN pg_depend d ON d.classid = ('pg_catalog.' || f.catalog)::regclass AND d.objid = f.oid
    -- What the statement of an object holds, though the server keeps it as an object of its own.
    UNION ALL SELECT f.catalog, f.oid, 'pg_attrdef'::regclass, e.oid, 'n'
        FROM fresh f JOIN pg_attrdef e ON f.catalog = 'pg_class' AND e.adrelid = f.oid
            JOIN pg_attribute a ON a.attrelid = e.adrelid AND a.attnum = e.adnum
        WHERE coalesce(to_jsonb(a) ->> 'attgenerated', '') <> ''
    UNION ALL SELECT f.catalog, f.oid, 'pg_constraint'::regclass, c.oid, 'n'
        FROM fresh f JOIN pg_constraint c ON f.catalog = 'pg_type' AND c.contypid = f.oid
    UNION ALL SELECT f.catalog, f.oid, 'pg_class'::regclass, c.conindid, 'n'
        FROM fresh f JOIN pg_constraint c ON f.catalog = 'pg_constraint' AND c.oid = f.oid
        WHERE c.contype IN ('p', 'u', 'x')
    UNION ALL SELECT f.catalog, f.oid, 'pg_class'::regclass, r.oid, 'n'
        FROM fresh f JOIN pg_type t ON f.catalog = 'pg_type' AND t.oid = f.oid
            JOIN pg_class r ON r.oid = t.typrelid AND r.relkind = 'c'
)
SELECT e.catalog, e.oid::int8, k.relname::text, e.refobjid::int8, e.deptype
FROM edges e JOIN pg_class k ON k.oid = e.refclassid
-- Below 16384 are the objects of every database, but the schema public may be lacking.
WHERE e.refobjid >= 16384 OR (k.relname = 'pg_namespace' AND e.refobjid = 2200)
"""

_MENTIONED = """
SELECT m.catalog, m.oid::int8, m.label, n.nspname::text, m.name::text FROM (
    SELECT 'pg_proc', p.oid, 'function', pronamespace, proname
        FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
        WHERE prokind IN ('f', 'p') AND l.lanname IN ('sql', 'plpgsql')
    UNION ALL SELECT 'pg_type', t.oid, 'type', typnamespace, typname
        FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
        WHERE typtype IN ('e', 'd', 'r') OR c.relkind = 'c'
    UNION ALL SELECT 'pg_class', c.oid, CASE relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, relnamespace, relname
        FROM pg_class c WHERE relkind IN ('S', 'r', 'p', 'v', 'm', 'f')
) m(catalog, oid, label, space, name) JOIN pg_namespace n ON n.oid = m.space
WHERE m.oid >= 16384 AND m.name::text = ANY(%(words)s::text[]) AND n.nspname NOT LIKE 'pg\\_%%' AND NOT EXISTS (
    SELECT FROM pg_depend d
    WHERE d.classid = ('pg_catalog.' || m.catalog)::regclass AND d.objid = m.oid AND d.deptype IN ('e', 'i'))
"""

_LEFT_OUT = """
WITH gone(what, relation, name, why) AS (
    SELECT 'foreign key', conrelid, conname, 'a sister holds only part of the rows'
        FROM pg_constraint WHERE contype = 'f' AND coalesce(to_jsonb(pg_constraint) ->> 'conparentid', '0') = '0'
    UNION ALL SELECT 'policy', polrelid, polname, 'rights are not cloned' FROM pg_policy
    UNION ALL SELECT 'rule', ev_class, rulename, 'rules are not cloned' FROM pg_rewrite WHERE rulename <> '_RETURN'
    UNION ALL SELECT 'statistics', stxrelid, stxname, 'statistics are not cloned' FROM pg_statistic_ext
    UNION ALL SELECT 'attachment', i.inhrelid, p.relname, 'this parent is not among the tables'
        FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
        WHERE p.relkind IN ('r', 'p') AND p.oid <> ALL(%(oids)s::oid[])
)
SELECT format('%%s %%s.%%s.%%s', g.what, n.nspname, c.relname, g.name), g.why
FROM gone g JOIN pg_class c ON c.oid = g.relation JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE g.relation = ANY(%(oids)s::oid[])
"""

_BODIES = "SELECT proname::text, prosrc FROM pg_proc WHERE oid = ANY(%(oids)s::oid[])"

_WORD = re.compile(r'"((?:[^"]|"")+)"|(\w+)')


@define
class Needs:
    """
    What tables need, found step by step.

    Attributes:
        of: Each object with those that it needs or belongs to.
        members: Those that come with an extension.
        left_out: What is not cloned, with the reason.
    """

    of: dict[Address, set[Address]] = Factory(dict)
    members: set[Address] = Factory(set)
    left_out: dict[str, str] = Factory(dict)


def with_partitions(cursor: Cursor, tables: Iterable[Source]) -> list[int]:
    """Give the oids of tables and of all their partitions."""
    found = cursor.execute(_PARTITIONS, {"oids": [table.oid for table in tables]})
    return sorted(oid for (oid,) in found)


def needs_of(cursor: Cursor, tables: Sequence[int]) -> Needs:
    """Find everything that tables, given by their oids, need, and what belongs to them."""
    needs = Needs(left_out=dict(cursor.execute(_LEFT_OUT, {"oids": tables}).fetchall()))
    fresh: set[Address] = {("pg_class", oid) for oid in tables}
    fresh |= set(cursor.execute(_BELONGINGS, {"oids": tables}).fetchall())
    read: set[int] = set()
    while fresh:
        _follow(cursor, needs, fresh)
        functions = {oid for catalog, oid in needs.of.keys() - needs.members if catalog == "pg_proc"} - read
        read |= functions
        fresh = _mentioned(cursor, needs, functions)
    return needs


def _follow(cursor: Cursor, needs: Needs, fresh: set[Address]) -> None:
    while fresh:
        needs.of.update({address: set() for address in fresh})
        rows = cursor.execute(_NEEDS, _asked(fresh)).fetchall()
        needs.members |= {(row[0], row[1]) for row in rows if row[4] == "e"}
        fresh = set()
        for catalog, oid, needed_catalog, needed_oid, kind in rows:
            address, needed = (catalog, oid), (needed_catalog, needed_oid)
            # A member of an extension comes with it, whatever else it needs.
            if address not in needs.members or kind == "e":
                needs.of[address].add(needed)
                # "a" leads to the owner, as from an index to its table: that is no need, but tells an order.
                if kind in {"n", "e", "i", "x"} and needed not in needs.of:
                    fresh.add(needed)


def _mentioned(cursor: Cursor, needs: Needs, functions: Iterable[int]) -> set[Address]:
    more: set[Address] = set()
    for name, body in cursor.execute(_BODIES, {"oids": list(functions)}).fetchall():
        # A name without quotes is folded, so each word is looked for as it is and folded.
        words = {bare or quoted.replace('""', '"') for quoted, bare in _WORD.findall(body)}
        words |= {word.lower() for word in words}
        for catalog, oid, label, schema, thing in cursor.execute(_MENTIONED, {"words": sorted(words)}).fetchall():
            if (catalog, oid) in needs.of:
                continue
            if label == "table":
                needs.left_out[f"table {schema}.{thing}"] = f"not among the tables, but the function {name} mentions it"
            else:
                more.add((catalog, oid))
    return more


def in_order(needs: Needs, definitions: Mapping[Address, Sequence[Definition]]) -> list[Definition]:
    """Sort definitions by rank, those that others need before these."""
    ordered: list[Definition] = []
    done: set[Address] = set()

    def rank(address: Address) -> tuple[int, tuple[str, ...]]:
        return min(((each.rank, each.name) for each in definitions.get(address, ())), default=(99, ()))

    for start in sorted(needs.of, key=rank):
        # Depth first without recursion: the second visit comes after all that is needed.
        stack: list[tuple[Address, bool]] = [(start, False)]
        while stack:
            address, ready = stack.pop()
            if ready:
                ordered += definitions.get(address, ())
            elif address not in done:
                done.add(address)
                stack.append((address, True))
                stack += [
                    (each, False) for each in sorted(needs.of[address], key=rank, reverse=True) if each in needs.of
                ]
    return ordered


_DESCRIBED = """
SELECT pg_describe_object(('pg_catalog.' || catalog)::regclass, oid, 0)
FROM unnest(%(catalogs)s::text[], %(oids)s::oid[]) f(catalog, oid)
"""


def words_for(cursor: Cursor, addresses: Iterable[Address]) -> list[str]:
    """Give the server's words for objects."""
    return [words for (words,) in cursor.execute(_DESCRIBED, _asked(addresses))]


def _asked(addresses: Iterable[Address]) -> dict[str, Any]:
    ordered = sorted(addresses)
    return {"catalogs": [catalog for catalog, _ in ordered], "oids": [oid for _, oid in ordered]}
