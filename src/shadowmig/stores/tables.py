"""What a store knows of a table: its key, its version, its columns. Shared by all stores that have rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import field, frozen

from shadowmig.errors import ConfigError

NATIVE: Final = "xmin"
"""The name by which Postgres' own row version may be asked for; it is a `Record`'s token in any case."""

Fold = Callable[[Sequence[Mapping[str, Any]]], Any]
"""Turns all rows of one entity into one value."""


def _names(value: object, what: str) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else ()
    if not names or not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        raise ConfigError(
            f"{what} is {value!r}.", remedy="Use a column name or a list of different ones.", field=what, value=value
        )
    return names


def _key(value: object) -> tuple[str, ...]:
    return _names(value, "key")


def _columns(value: object) -> tuple[str, ...] | None:
    return None if value is None else _names(value, "columns")


def _text(value: object) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return None if value == NATIVE else value
    raise ConfigError(f"version is {value!r}.", remedy="Use a column name, or None.", field="version", value=value)


@frozen
class Table:
    """
    One table whose rows are compared.

    Args:
        name: Its name; ``schema.name`` is not taken apart, see `schema`.
        key: The columns that identify a record, in the order in which refs give their values: one name or several.
        version: The column that changes with every write and is the same on both sides after the same change: a
            counter that goes up by one (then races can be told exactly), or any other value that the candidate is
            given (by ``carry=``). ``None`` or ``"xmin"`` if there is none: then only the database's own row version is
            known, which proves less.
        columns: The columns to read; by default all.
        fold: For tables with one row for each property (entity, attribute, value): turns all rows of a key, as a list
            of dicts in the order of the primary key, into one value. A ref then leads to all of them.
        unfold: The way back: turns such a value into rows, so that it can be hydrated. Without it the rows that were
            read are kept beside the value and written as they were.
        schema: The schema; by default what the connection's ``search_path`` finds.
        footprint: Whether to look for rows that the candidate wrote although ``touches=`` does not name them. It reads
            the whole table of the sister; turn it off where that one is big.

    Raises:
        ConfigError: A field is wrong.
    """

    name: str = field()
    key: tuple[str, ...] = field(kw_only=True, converter=_key)
    version: str | None = field(default=None, kw_only=True, converter=_text)
    columns: tuple[str, ...] | None = field(default=None, kw_only=True, converter=_columns)
    fold: Fold | None = field(default=None, kw_only=True)
    unfold: Callable[[Any], Sequence[Mapping[str, Any]]] | None = field(default=None, kw_only=True)
    schema: str | None = field(default=None, kw_only=True)
    footprint: bool = field(default=True, kw_only=True)

    @name.validator
    def _check_name(self, _: object, value: object) -> None:
        if not isinstance(value, str) or not value:
            raise ConfigError(f"name is {value!r}.", remedy="Use the table's name.", field="name", value=value)

    @columns.validator
    def _check_columns(self, _: object, value: tuple[str, ...] | None) -> None:
        wanted = [*self.key, *([self.version] if self.version else [])]
        lacking = [name for name in wanted if value is not None and name not in value]
        if lacking:
            raise ConfigError(
                f"columns lacks {', '.join(lacking)}.",
                remedy="Name the key and version columns too.",
                field="columns",
                value=value,
            )


def version_in(value: Any, table: Table | None, take: Callable[[Any], Any] | None = None) -> Any:
    """
    Take the version out of a record's value.

    Args:
        value: A row, or what is under a key.
        table: The row's table; ``None`` for a key.
        take: How it is taken out of what is under a key.

    Returns:
        The version; ``None`` if the value has none, or is of another shape.
    """
    try:
        if table is not None:
            return None if table.version is None else value[table.version]
        return None if take is None else take(value)
    except Exception:  # noqa: BLE001 - whatever a function says to a value of another shape, it has no version
        return None


def by_name(tables: Iterable[Table]) -> dict[str, Table]:
    """
    Index tables by name.

    Raises:
        ConfigError: Something is not a `Table`, or two have one name.
    """
    found: dict[str, Table] = {}
    for table in tables:
        if not isinstance(table, Table) or table.name in found:
            raise ConfigError(
                f"tables holds {table!r} {'twice' if isinstance(table, Table) else 'which is no Table'}.",
                remedy='Give one Table("name", key=...) for each table.',
                field="tables",
                value=table,
            )
        found[table.name] = table
    return found
