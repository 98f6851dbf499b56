"""How the records of one read are asked for, and how answers become records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import define

from shadowmig.errors import StoreError
from shadowmig.model import Change, Reading, Record, Ref
from shadowmig.stores._pg_tables import MARK, MOST_CHANGES, PRIMARY, TableReads, key_texts, named
from shadowmig.stores._pg_values import load, quoted
from shadowmig.stores._pg_wire import Command
from shadowmig.stores.tables import Table

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult


@define(eq=False)
class _Group:
    """The refs of one read that lead to one table, with their places in the read."""

    reads: TableReads
    places: list[int]


@define(eq=False)
class Plan:
    """
    One read: what to ask, and what is asked for.

    Attributes:
        commands: The statements: the mark or the groups, then the primary keys, then the changes.
    """

    refs: Sequence[Ref]
    since: int | None
    groups: list[_Group]
    unsorted: list[TableReads]
    footprints: list[TableReads]
    commands: list[Command]

    @property
    def joint(self) -> bool:
        """Whether several statements must see the same moment."""
        return len(self.commands) > 1

    def reading(self, results: Sequence[PGresult]) -> Reading:
        """
        Make a reading of the results of the commands.

        Raises:
            StoreError: A ref leads to several rows of a table without a fold, or a version column is not there.
        """
        first = load(results[0])
        rest = iter(results[max(1, len(self.groups)) :])
        for reads in self.unsorted:
            reads.primary = tuple([name for (name,) in load(next(rest))])
        records: list[Any] = [None] * len(self.refs)
        for number, group in enumerate(self.groups):
            self._fill(records, group, results[number], load(results[number]) if number else first)
        changed = tuple(self._changes(rest)) if self.footprints else ()
        return Reading(tuple(records), int(first[0][0]), changed)

    def _fill(self, records: list[Any], group: _Group, result: PGresult, rows: Iterable[tuple[Any, ...]]) -> None:
        table = group.reads.table
        names = [(result.fname(i) or b"").decode() for i in range(3, result.nfields)]
        if table.version is not None and table.version not in names:
            raise StoreError(
                f"Table {table.name!r} has no column {table.version!r}.", remedy="Correct version= of its Table."
            )
        if table.fold is None:
            self._fill_plain(records, group, names, rows)
            return
        found: dict[int, list[tuple[dict[str, Any], int]]] = {}
        for row in rows:
            if row[2] is not None:
                found.setdefault(row[1], []).append((dict(zip(names, row[3:], strict=True)), int(row[2])))
        for number, place in enumerate(group.places, 1):
            records[place] = _folded(self.refs[place], group.reads, found.get(number, ()))

    def _fill_plain(
        self, records: list[Any], group: _Group, names: Sequence[str], rows: Iterable[tuple[Any, ...]]
    ) -> None:
        table, refs = group.reads.table, self.refs
        for row in rows:
            place = group.places[row[1] - 1]
            if records[place] is not None:
                raise StoreError(
                    f"A ref to {table.name!r} leads to several rows.",
                    remedy="Name the whole primary key in Table(key=), or give it a fold=.",
                )
            if row[2] is None:
                records[place] = Record(refs[place])
                continue
            value = dict(zip(names, row[3:], strict=True))
            records[place] = Record(refs[place], value, value[table.version] if table.version else None, int(row[2]))

    def _changes(self, results: Iterator[PGresult]) -> Iterator[Change]:
        since, changes = self.since or 0, []
        for reads in self.footprints:
            latest: dict[tuple[Any, ...], int] = {}
            for after, *key in load(next(results)):
                latest[tuple(key)] = max(after, latest.get(tuple(key), 0))
            changes += [(since + after, Ref("", "row", reads.table.name, key)) for key, after in latest.items()]
        changes.sort(key=lambda change: change[0])
        return (Change(ref, at) for at, ref in changes[:MOST_CHANGES])


def _folded(ref: Ref, reads: TableReads, rows: Sequence[tuple[dict[str, Any], int]]) -> Record:
    table = reads.table
    if not rows or table.fold is None:
        return Record(ref)
    values = _sorted([row for row, _ in rows], reads.primary or ())
    version = _latest([row[table.version] for row in values]) if table.version else None
    tokens = tuple(sorted(token for _, token in rows))
    # Beside the value, for the way back; the fold gets copies, which it may change.
    meta = {} if table.unfold else {"rows": values}
    try:
        value = table.fold([dict(row) for row in values])
    except Exception as error:  # the service's own function
        raise StoreError(f"fold= of table {table.name!r} raised {type(error).__name__}.") from error
    return Record(ref, value, version, tokens, meta=meta)


def _sorted(rows: list[dict[str, Any]], primary: Sequence[str]) -> list[dict[str, Any]]:
    if primary and all(name in rows[0] for name in primary):
        try:
            return sorted(rows, key=lambda row: [row[name] for name in primary])
        except TypeError:  # values without an order
            return sorted(rows, key=lambda row: [repr(row[name]) for name in primary])
    return sorted(rows, key=repr)


def _latest(versions: Iterable[Any]) -> Any:
    try:
        return max((version for version in versions if version is not None), default=None)
    except TypeError:
        return None


class Reader:
    """
    Plan reads of tables.

    Args:
        tables: The tables by name.
    """

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self._reads = {name: TableReads.of(table) for name, table in tables.items()}

    def plan(self, refs: Sequence[Ref], since: Any) -> Plan:
        """
        Plan one read.

        Raises:
            StoreError: A ref does not fit the tables, or ``since`` is no mark.
        """
        if since is not None and type(since) is not int:
            raise StoreError(f"since is a {type(since).__name__}.", remedy="Give the mark of an earlier reading.")
        places: dict[str, list[int]] = {}
        for place, ref in enumerate(refs):
            places.setdefault(self.reads(ref).table.name, []).append(place)
        groups = [_Group(self._reads[name], found) for name, found in places.items()]
        commands = [self._command(group, refs) for group in groups] or [Command(MARK)]
        unsorted = [g.reads for g in groups if g.reads.table.fold is not None and g.reads.primary is None]
        commands += [Command(PRIMARY, (named(r.table).as_bytes(None),), r.table.name, keep=False) for r in unsorted]
        footprints: list[TableReads] = []
        if since is not None:
            xid = b"%d" % (since % 2**32)
            footprints = [reads for reads in self._reads.values() if reads.table.footprint]
            commands += [Command(reads.changes, (xid,), reads.table.name) for reads in footprints]
        return Plan(refs, since, groups, unsorted, footprints, commands)

    def reads(self, ref: Ref) -> TableReads:
        """
        Find the table of a ref.

        Raises:
            StoreError: There is none, or the ref has another number of key values.
        """
        found = self._reads.get(ref.space) if ref.kind == "row" else None
        if found is None:
            what = f"the table {ref.space!r}" if ref.kind == "row" else f"{ref.kind!r} refs"
            raise StoreError(
                f"Nothing is known of {what}.",
                remedy="Make refs with row(), and name the table in tables=.",
            )
        if len(ref.key) != len(found.table.key):
            raise StoreError(
                f"A ref to {ref.space!r} has {len(ref.key)} key values; key= names {', '.join(found.table.key)}.",
                remedy="Give one value for each column of the key, in this order.",
            )
        return found

    def _command(self, group: _Group, refs: Sequence[Ref]) -> Command:
        name = group.reads.table.name
        if len(group.places) == 1:
            return Command(group.reads.one, key_texts(refs[group.places[0]]), name)
        texts = [key_texts(refs[place]) for place in group.places]
        arrays = [b"{%b}" % b",".join(map(quoted, column)) for column in zip(*texts, strict=True)]
        return Command(group.reads.many, tuple(arrays), name)
