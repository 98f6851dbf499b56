"""The comments service whose writes are compared: where its stores are, what its things are called, what it does."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen
from psycopg import sql
from psycopg.rows import dict_row

if TYPE_CHECKING:
    from write_faults_support import World


@frozen
class Names:
    """What the service calls its things."""

    table: str = "comments"
    prefix: str | bytes = "comment:"
    stream: str = "comment_events"
    event: str = "event-"
    id_type: str = "int"

    @property
    def schema(self) -> sql.Composed:
        """Give the statement that makes the table."""
        text = "CREATE TABLE {} (id {} PRIMARY KEY, body text NOT NULL, version int NOT NULL)"
        return sql.SQL(text).format(self.name, sql.SQL(self.id_type))

    @property
    def name(self) -> sql.Identifier:
        """Give the table's name as it stands in statements."""
        return sql.Identifier(self.table)


@frozen
class Site:
    """
    Where the stores are.

    Attributes:
        production: Addresses by store, as the service itself uses them.
        verifier: Addresses by store that the verifier reads production by.
        sister: Addresses by store.
        prefix: Of keys in production's cache, which other tests use too.
        names: What things are called.
        timeout: Seconds for a call to a sister; long, because a busy machine may hold up a sound server for a while.
        patience: Seconds for a call to production by the verifier.
        careful: Whether the candidate's client of the cache tries again where a connection was closed meanwhile.
    """

    production: Mapping[str, str]
    verifier: Mapping[str, str]
    sister: Mapping[str, str]
    prefix: str
    names: Names = field(factory=Names)
    timeout: float = 3.0
    patience: float = 3.0
    careful: bool = True


class Comments:
    """
    The old implementation and, with defects, the new one; each side gets its own clients.

    Args:
        world: Where it works.

    Attributes:
        defect: The store in which it goes wrong; empty for none.
        after: Called at a place by its name: ``row`` before the commit, or a store's right after that was written.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._ids = itertools.count(1)
        self.defect = ""
        self.after: dict[str, Callable[[], object]] = {}

    def create(self, body: str, *, number: Any = None, event_id: str = "") -> dict[str, Any]:
        """Store a new comment."""
        number = self._world.new_number() if number is None else number
        return self._tell(self._run("INSERT INTO {} VALUES (%s, %s, 1) RETURNING *", number, body), event_id)

    def edit(self, number: Any, body: str, *, event_id: str = "") -> dict[str, Any]:
        """Change a comment's text."""
        text = f"{body}!" if self.defect == "db" else body
        row = self._run("UPDATE {} SET body = %s, version = version + 1 WHERE id = %s RETURNING *", text, number)
        if row is None:
            raise KeyError(number)
        return self._tell({**row, "body": body}, event_id)

    def _run(self, statement: str, *values: Any) -> Any:
        table = self._world.site.names.table.replace("%", "%%")  # which psycopg takes for the marks of values
        text = sql.SQL(statement).format(sql.Identifier(table))
        with self._world.db.client().connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(text, values).fetchone()
            self._at("row")
        self._at("db")
        return row

    def _tell(self, row: dict[str, Any], event_id: str) -> dict[str, Any]:
        names = self._world.site.names
        event_id = event_id or f"{names.event}{next(self._ids)}"
        cached = {**row, "body": "another"} if self.defect == "cache" else row
        key = self._world.key_name(row["id"])
        self._world.cache.client().set(key, json.dumps(cached).encode(), expire=3600, noreply=False)
        self._at("cache")
        told = {"version": row["version"], "after": row, **({"more": 1} if self.defect == "events" else {})}
        self._world.events.client().xadd(names.stream, {"event_id": event_id, "body": json.dumps(told)})
        self._at("events")
        return {**row, "event_id": event_id}

    def _at(self, place: str) -> None:
        self.after.get(place, lambda: None)()
