"""
What a Postgres server says of its own objects: one query for each kind, which gives the statement that makes it.

The server spells everything itself (``pg_get_indexdef``, ``pg_get_constraintdef``, ``format_type``, ``%I``), with an
empty ``search_path`` and every identifier quoted, so a statement means the same in any session and any version. Columns
that older versions lack are read through ``to_jsonb``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final, TypeAlias, cast

from attrs import frozen
from psycopg import sql

from shadowmig.stores._pg_job import Cursor

Address: TypeAlias = tuple[str, int]
"""Where an object is described: the name of its catalog and its oid."""


@frozen
class Definition:
    """
    How one object is made.

    Attributes:
        address: Where production's catalog describes it; ``None`` if it was read by name.
        label: What kind of object it is, for people.
        name: Its name, with those of what it is in.
        statement: What makes it; ``None`` if it comes with another object or is not cloned.
        after: A second statement that completes it.
        reason: Why it is not cloned, if it cannot be.
        rank: Objects of lower rank are made first, unless they need one of a higher.
        firm: Whether the statement holds no expression, so that all versions of Postgres spell it alike.
        columns: Of a table: its columns, each by a text for its type and a text for its expression.
    """

    address: Address
    label: str
    name: tuple[str, ...]
    statement: str | None
    after: str | None
    reason: str | None
    rank: int
    firm: bool
    columns: dict[str, list[str]] | None

    @property
    def key(self) -> tuple[str, ...]:
        """The same for production's and the sister's."""
        return self.label, *self.name

    def __str__(self) -> str:
        first, rest = ".".join(self.name[:2]), self.name[2:]
        if self.label == "function":
            return f"function {first}({', '.join(rest)})".replace('"', "")
        if self.label == "attachment":
            return f"attachment of {first} to {'.'.join(rest)}"
        return f"{self.label} {'.'.join([first, *rest])}"


@frozen
class Kind:
    """How objects of one kind are read: catalog, the expression for the name to find them by, and the query."""

    catalog: str
    by_name: str
    query: str

    def read(self, cursor: Cursor, condition: str, parameters: dict[str, Any]) -> Iterator[Definition]:
        """Give the definitions of the objects that a condition on the catalog's row ``o`` selects."""
        text = self.query.replace("{condition}", condition)
        for oid, name, label, statement, after, reason, rank, firm, columns in cursor.execute(
            sql.SQL(cast("Any", text)), parameters
        ):
            yield Definition(
                (self.catalog, oid), label, tuple(name), statement, after, reason, rank, bool(firm), columns
            )


def read(cursor: Cursor, addresses: Collection[Address]) -> list[Definition]:
    """Read production's definitions of objects; kinds that are unknown here are left out."""
    relations = [oid for catalog, oid in addresses if catalog == "pg_class"]
    found: list[Definition] = []
    for kind in KINDS:
        oids = [oid for catalog, oid in addresses if catalog == kind.catalog]
        if oids:
            id_column = "inhrelid" if kind.catalog == "pg_inherits" else "oid"
            found += kind.read(cursor, f"o.{id_column} = ANY(%(oids)s::oid[])", {"oids": oids, "known": relations})
    return found


def read_by_names(cursor: Cursor, wanted: Collection[Definition]) -> dict[tuple[str, ...], Definition]:
    """Read the sister's definitions of the objects that have a wanted one's name, by their keys."""
    keys = {definition.key for definition in wanted}
    # The second part of a name is that of the object itself or of the table it belongs to.
    names = sorted({definition.name[min(1, len(definition.name) - 1)] for definition in wanted})
    found: dict[tuple[str, ...], Definition] = {}
    for kind in KINDS:
        for definition in kind.read(
            cursor, f"{kind.by_name} = ANY(%(names)s::text[])", {"names": names, "known": None}
        ):
            if definition.key in keys and definition.statement is not None:
                found[definition.key] = definition
    return found


# Every query gives: oid, name, label, statement, after, reason, rank, firm, columns.

_SCHEMA = """
SELECT o.oid::int8, ARRAY[o.nspname]::text[], 'schema', format('CREATE SCHEMA %%I', o.nspname),
    NULL::text, NULL::text, 0, true, NULL::jsonb
FROM pg_namespace o WHERE {condition}
"""

_EXTENSION = """
SELECT o.oid::int8, ARRAY[o.extname]::text[], 'extension',
    format('CREATE EXTENSION IF NOT EXISTS %%I WITH SCHEMA %%I', o.extname, n.nspname),
    NULL::text, NULL::text, 1, true, NULL::jsonb
FROM pg_extension o JOIN pg_namespace n ON n.oid = o.extnamespace WHERE {condition}
"""

_COLLATION = """
SELECT o.oid::int8, ARRAY[n.nspname, o.collname]::text[], 'collation',
    format('CREATE COLLATION %%I.%%I (%%s%%s%%s)', n.nspname, o.collname,
        CASE o.collprovider WHEN 'c' THEN format('LC_COLLATE = %%L, LC_CTYPE = %%L', o.collcollate, o.collctype)
        ELSE format('PROVIDER = %%s, LOCALE = %%L', CASE o.collprovider WHEN 'b' THEN 'builtin' ELSE 'icu' END,
            coalesce(j ->> 'colllocale', j ->> 'colliculocale', o.collcollate)) END,
        CASE WHEN j ->> 'collisdeterministic' = 'false' THEN ', DETERMINISTIC = false' END,
        ', RULES = ' || quote_literal(coalesce(j ->> 'collicurules', j ->> 'collrules'))),
    NULL::text, NULL::text, 2, true, NULL::jsonb
FROM pg_collation o JOIN pg_namespace n ON n.oid = o.collnamespace CROSS JOIN LATERAL to_jsonb(o) j WHERE {condition}
"""

_COLLATED = """
    CASE WHEN {collation} NOT IN (0, {usual}) THEN (
        SELECT format(' COLLATE %%I.%%I', cn.nspname, co.collname)
        FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = {collation}
    ) ELSE '' END
"""

_TYPE = """
SELECT o.oid::int8, ARRAY[n.nspname, o.typname]::text[], 'type',
    CASE o.typtype
    WHEN 'e' THEN format('CREATE TYPE %%I.%%I AS ENUM (%%s)', n.nspname, o.typname,
        (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = o.oid))
    WHEN 'd' THEN format('CREATE DOMAIN %%I.%%I AS %%s%%s%%s%%s%%s', n.nspname, o.typname,
        format_type(o.typbasetype, o.typtypmod), {collated_domain},
        ' DEFAULT ' || pg_get_expr(o.typdefaultbin, 0), CASE WHEN o.typnotnull THEN ' NOT NULL' END,
        (SELECT string_agg(format(' CONSTRAINT %%I %%s', conname, pg_get_constraintdef(oid)), '' ORDER BY conname)
            FROM pg_constraint WHERE contypid = o.oid AND contype = 'c'))
    WHEN 'c' THEN format('CREATE TYPE %%I.%%I AS (%%s)', n.nspname, o.typname,
        (SELECT string_agg(format('%%I %%s%%s', a.attname, format_type(a.atttypid, a.atttypmod), {collated_attribute}),
            ', ' ORDER BY a.attnum)
            FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
            WHERE a.attrelid = o.typrelid AND a.attnum > 0 AND NOT a.attisdropped))
    WHEN 'r' THEN (SELECT format('CREATE TYPE %%I.%%I AS RANGE (SUBTYPE = %%s, SUBTYPE_OPCLASS = %%I.%%I%%s%%s%%s)',
            n.nspname, o.typname, format_type(r.rngsubtype, NULL), opn.nspname, op.opcname,
            ', COLLATION = ' || nullif(substr({collated_range}, length(' COLLATE ') + 1), ''),
            ', SUBTYPE_DIFF = ' || (SELECT format('%%I.%%I', fn.nspname, f.proname)
                FROM pg_proc f JOIN pg_namespace fn ON fn.oid = f.pronamespace WHERE f.oid = r.rngsubdiff::oid),
            ', MULTIRANGE_TYPE_NAME = ' || (SELECT format('%%I.%%I', mn.nspname, m.typname)
                FROM pg_type m JOIN pg_namespace mn ON mn.oid = m.typnamespace
                WHERE m.oid = (to_jsonb(r) ->> 'rngmultitypid')::oid))
        FROM pg_range r JOIN pg_opclass op ON op.oid = r.rngsubopc JOIN pg_namespace opn ON opn.oid = op.opcnamespace
            JOIN pg_type t ON t.oid = r.rngsubtype
        WHERE r.rngtypid = o.oid AND r.rngcanonical::oid = 0)
    END,
    NULL::text,
    CASE WHEN o.typtype = 'b' AND NOT (o.typcategory = 'A' AND o.typelem <> 0) THEN 'a base type, written in C'
        WHEN o.typtype = 'r' AND EXISTS (SELECT FROM pg_range WHERE rngtypid = o.oid AND rngcanonical::oid <> 0)
        THEN 'a range type with a canonical function, written in C' END,
    2, o.typtype NOT IN ('d', 'r'), NULL::jsonb
FROM pg_type o JOIN pg_namespace n ON n.oid = o.typnamespace LEFT JOIN pg_type b ON b.oid = o.typbasetype
WHERE {condition} AND (o.typtype <> 'c' OR (SELECT relkind FROM pg_class WHERE oid = o.typrelid) = 'c')
"""

_FUNCTION = """
SELECT o.oid::int8, ARRAY[n.nspname, o.proname, pg_get_function_identity_arguments(o.oid)]::text[], 'function',
    CASE WHEN o.prokind <> 'a' THEN pg_get_functiondef(o.oid) END, NULL::text,
    CASE WHEN o.prokind = 'a' THEN 'an aggregate' END, 2, false, NULL::jsonb
FROM pg_proc o JOIN pg_namespace n ON n.oid = o.pronamespace WHERE {condition}
"""

_SETTINGS = """
    format('INCREMENT BY %%s MINVALUE %%s MAXVALUE %%s START WITH %%s CACHE %%s%%s', s.seqincrement, s.seqmin, s.seqmax,
        s.seqstart, s.seqcache, CASE WHEN s.seqcycle THEN ' CYCLE' END)
"""

_SEQUENCE = """
SELECT o.oid::int8, ARRAY[n.nspname, o.relname]::text[], 'sequence',
    format('CREATE SEQUENCE %%I.%%I AS %%s %%s', n.nspname, o.relname, format_type(s.seqtypid, NULL), {settings}),
    (SELECT format('ALTER SEQUENCE %%I.%%I OWNED BY %%I.%%I.%%I', n.nspname, o.relname, cn.nspname, c.relname, attname)
        FROM pg_depend d JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace cn ON cn.oid = c.relnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
        WHERE d.classid = 'pg_class'::regclass AND d.objid = o.oid AND d.refclassid = 'pg_class'::regclass
            AND d.deptype = 'a' AND c.oid = ANY(%(known)s::oid[])),
    NULL::text, 3, true, NULL::jsonb
FROM pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace JOIN pg_sequence s ON s.seqrelid = o.oid
WHERE {condition} AND o.relkind = 'S' AND NOT EXISTS (
    SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = o.oid AND deptype = 'i')
"""

_TABLE = """
SELECT o.oid::int8, ARRAY[n.nspname, o.relname]::text[], 'table',
    CASE WHEN o.relkind IN ('r', 'p') THEN format('CREATE %%sTABLE %%I.%%I (%%s)%%s',
        CASE o.relpersistence WHEN 'u' THEN 'UNLOGGED ' END, n.nspname, o.relname, k.listing,
        CASE o.relkind WHEN 'p' THEN ' PARTITION BY ' || pg_get_partkeydef(o.oid) END) END,
    NULL::text,
    CASE WHEN o.relkind NOT IN ('r', 'p') THEN 'a view or foreign table' END, 4, false, k.columns
FROM pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace CROSS JOIN LATERAL (
    SELECT string_agg(format('%%I %%s%%s', a.attname, x.type, x.made), ', ' ORDER BY a.attnum) AS listing,
        jsonb_object_agg(a.attname, jsonb_build_array(concat_ws(' ', x.type, a.attidentity, x.generated), x.made))
            AS columns
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid CROSS JOIN LATERAL (
        SELECT nullif(to_jsonb(a) ->> 'attgenerated', '') AS generated,
            format_type(a.atttypid, a.atttypmod) || {collated_attribute}
                || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END AS type,
            coalesce(CASE
            WHEN to_jsonb(a) ->> 'attgenerated' IN ('s', 'v') THEN (
                SELECT format(' GENERATED ALWAYS AS (%%s) %%s', pg_get_expr(e.adbin, e.adrelid),
                    CASE to_jsonb(a) ->> 'attgenerated' WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END)
                FROM pg_attrdef e WHERE e.adrelid = a.attrelid AND e.adnum = a.attnum)
            WHEN a.attidentity <> '' THEN (
                SELECT format(' GENERATED %%s AS IDENTITY (SEQUENCE NAME %%I.%%I %%s)',
                    CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, qn.nspname, q.relname, {settings})
                FROM pg_depend d JOIN pg_class q ON q.oid = d.objid JOIN pg_namespace qn ON qn.oid = q.relnamespace
                    JOIN pg_sequence s ON s.seqrelid = q.oid
                WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
                    AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype = 'i')
            END, '') AS made
    ) x
    WHERE a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped
) k
WHERE {condition} AND o.relkind IN ('r', 'p', 'v', 'm', 'f')
"""

_DEFAULT = """
SELECT o.oid::int8, ARRAY[n.nspname, c.relname, a.attname]::text[], 'default',
    format('ALTER TABLE ONLY %%I.%%I ALTER COLUMN %%I SET DEFAULT %%s', n.nspname, c.relname, a.attname,
        pg_get_expr(o.adbin, o.adrelid)),
    NULL::text, NULL::text, 5, false, NULL::jsonb
FROM pg_attrdef o JOIN pg_class c ON c.oid = o.adrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = o.adrelid AND a.attnum = o.adnum
WHERE {condition} AND coalesce(to_jsonb(a) ->> 'attgenerated', '') = ''
"""

_CONSTRAINT = """
SELECT o.oid::int8, ARRAY[n.nspname, c.relname, o.conname]::text[], 'constraint',
    format('ALTER TABLE ONLY %%I.%%I ADD CONSTRAINT %%I %%s', n.nspname, c.relname, o.conname,
        pg_get_constraintdef(o.oid)),
    NULL::text, NULL::text, CASE o.contype WHEN 'c' THEN 6 ELSE 7 END, false, NULL::jsonb
FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {condition} AND o.contype IN ('c', 'p', 'u', 'x')
"""

_INDEX = """
SELECT o.oid::int8, ARRAY[n.nspname, o.relname]::text[], 'index',
    CASE WHEN x.indisvalid THEN pg_get_indexdef(o.oid) END, NULL::text,
    CASE WHEN NOT x.indisvalid THEN 'not valid in production' END, 8, false, NULL::jsonb
FROM pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace JOIN pg_index x ON x.indexrelid = o.oid
WHERE {condition} AND NOT EXISTS (
    SELECT FROM pg_constraint WHERE conindid = o.oid AND conrelid = x.indrelid AND contype IN ('p', 'u', 'x'))
"""

_ATTACHMENT = """
SELECT o.inhrelid::int8, ARRAY[n.nspname, c.relname, pn.nspname, p.relname]::text[], 'attachment',
    CASE WHEN c.relkind IN ('i', 'I')
    THEN format('ALTER INDEX %%I.%%I ATTACH PARTITION %%I.%%I', pn.nspname, p.relname, n.nspname, c.relname)
    WHEN c.relispartition THEN format('ALTER TABLE ONLY %%I.%%I ATTACH PARTITION %%I.%%I %%s', pn.nspname, p.relname,
        n.nspname, c.relname, pg_get_expr(c.relpartbound, c.oid))
    ELSE format('ALTER TABLE ONLY %%I.%%I INHERIT %%I.%%I', n.nspname, c.relname, pn.nspname, p.relname) END,
    NULL::text, NULL::text, CASE WHEN c.relkind IN ('i', 'I') THEN 10 ELSE 9 END, false, NULL::jsonb
FROM pg_inherits o JOIN pg_class c ON c.oid = o.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_class p ON p.oid = o.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE {condition} AND (%(known)s::oid[] IS NULL OR p.oid = ANY(%(known)s::oid[]))
"""

_TRIGGER = """
SELECT o.oid::int8, ARRAY[n.nspname, c.relname, o.tgname]::text[], 'trigger', pg_get_triggerdef(o.oid),
    CASE WHEN o.tgenabled <> 'O' THEN format('ALTER TABLE %%I.%%I %%s TRIGGER %%I', n.nspname, c.relname,
        CASE o.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, o.tgname) END,
    NULL::text, 11, false, NULL::jsonb
FROM pg_trigger o JOIN pg_class c ON c.oid = o.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {condition} AND NOT o.tgisinternal AND coalesce(to_jsonb(o) ->> 'tgparentid', '0') = '0'
"""


def _filled(query: str) -> str:
    """Put the parts that several queries share in their places."""
    places = {
        "{collated_domain}": ("o.typcollation", "coalesce(b.typcollation, 0)"),
        "{collated_attribute}": ("a.attcollation", "t.typcollation"),
        "{collated_range}": ("r.rngcollation", "t.typcollation"),
    }
    for place, (collation, usual) in places.items():
        query = query.replace(place, _COLLATED.format(collation=collation, usual=usual))
    return query.replace("{settings}", _SETTINGS)


KINDS: Final = (
    Kind("pg_namespace", "o.nspname::text", _SCHEMA),
    Kind("pg_extension", "o.extname::text", _EXTENSION),
    Kind("pg_collation", "o.collname::text", _COLLATION),
    Kind("pg_type", "o.typname::text", _filled(_TYPE)),
    Kind("pg_proc", "o.proname::text", _FUNCTION),
    Kind("pg_class", "o.relname::text", _filled(_SEQUENCE)),
    Kind("pg_class", "o.relname::text", _filled(_TABLE)),
    Kind("pg_class", "o.relname::text", _INDEX),
    Kind("pg_attrdef", "c.relname::text", _DEFAULT),
    Kind("pg_constraint", "c.relname::text", _CONSTRAINT),
    Kind("pg_inherits", "c.relname::text", _ATTACHMENT),
    Kind("pg_trigger", "c.relname::text", _TRIGGER),
)
