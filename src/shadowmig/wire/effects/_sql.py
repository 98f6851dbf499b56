"""
Connections and cursors of psycopg inside of a check: queries are run on the sister, other statements recorded.

Unless statements are to stay, everything happens in a transaction that is rolled back in the end. So a query that
calls a writing function leaves nothing behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Final, Self

from shadowmig.errors import EffectRefused
from shadowmig.wire.effects._check import Check, answer, perform
from shadowmig.wire.effects._clients import Writes
from shadowmig.wire.fence import lifted

_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/", re.DOTALL)
_LOCKS = re.compile(r"\bFOR\s+(NO\s+KEY\s+)?UPDATE\b", re.IGNORECASE)
_WRITES = re.compile(
    r"\b(INSERT|UPDATE|DELETE|MERGE|INTO|ANALYZE|PG_NOTIFY|SETVAL|DBLINK\w*|LO_\w+|PG_LOGICAL_EMIT_MESSAGE)\b",
    re.IGNORECASE,
)
_FIRST = re.compile(r"[\s(]*(\w+)")
_QUERIES: Final = frozenset({"SELECT", "VALUES", "TABLE", "SHOW", "WITH", "EXPLAIN", "SET", "RESET"})
_CONTROL: Final = frozenset({"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"})


def first_word(statement: str) -> str:
    """Give what a statement begins with, in capitals."""
    found = _FIRST.match(_QUOTED.sub(" ", statement))
    return found[1].upper() if found else ""


def is_query(statement: str) -> bool:
    """Tell whether a statement, or each of several, only reads as far as its text tells."""
    return first_word(statement) in _QUERIES and not _WRITES.search(_LOCKS.sub(" ", _QUOTED.sub(" ", statement)))


def client(writes: Writes, check: Check, real: Any) -> Any:
    """Give what stands for a pool or a connection in a check; that of a connection is one for the whole check."""
    if callable(getattr(real, "connection", None)):
        return _Pool(writes, check, real)
    connection = check.kept.get(id(real))
    if connection is None:
        connection = check.kept[id(real)] = Connection(writes, check, real)
        connection.open()
        check.at_end(connection.shut)
    return connection


class _Pool:
    def __init__(self, writes: Writes, check: Check, real: Any) -> None:
        self._writes = writes
        self._check = check
        self._real = real

    @contextmanager
    def connection(self, *args: Any, **kwargs: Any) -> Iterator[Connection]:
        block: AbstractContextManager[Any] = self._real.connection(*args, **kwargs)
        stack = ExitStack()
        with lifted():
            connection = Connection(self._writes, self._check, stack.enter_context(block))
            connection.open()
        try:
            yield connection
        except BaseException as error:
            with lifted():
                connection.shut()
                stack.__exit__(type(error), error, error.__traceback__)
            raise
        with lifted():
            connection.shut()
            stack.close()

    def __getattr__(self, name: str) -> Any:
        raise EffectRefused(
            f"{name} of a pool was refused: this consumer is only being checked.",
            remedy="Use its connection().",
            effect=name,
        )


class Connection:
    """
    A connection of the sister.

    Args:
        writes: What becomes of writes.
        check: The running check.
        real: The connection.
    """

    def __init__(self, writes: Writes, check: Check, real: Any) -> None:
        self.writes = writes
        self.check = check
        self._real = real
        self._frame = ExitStack()

    def open(self) -> None:
        """Begin the transaction that will be rolled back."""
        if self.writes.perform is not True:
            perform(self._frame.enter_context, (self._real.transaction(force_rollback=True),), {})

    def shut(self) -> None:
        """End it."""
        perform(self._frame.close, (), {})

    def cursor(self, *args: Any, **kwargs: Any) -> Cursor:
        return Cursor(self, self._real.cursor(*args, **kwargs))

    def execute(self, query: Any, params: Any = None, **options: Any) -> Cursor:
        return self.cursor().execute(query, params, **options)

    def text(self, query: Any) -> str:
        """Give a statement as text, each run of white space one space."""
        if isinstance(query, bytes):
            query = query.decode()
        return " ".join((query if isinstance(query, str) else query.as_string(self._real)).split())

    def commit(self) -> None:
        if self.writes.perform is True:
            perform(self._real.commit, (), {})

    def rollback(self) -> None:
        if self.writes.perform is True:
            perform(self._real.rollback, (), {})
        else:
            self.shut()
            self.open()

    @contextmanager
    def transaction(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        with self._real.transaction(*args, **kwargs) as transaction:
            yield transaction

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.commit()
        else:
            self.rollback()

    def close(self) -> None:
        """Leave the connection to whom it belongs."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Cursor:
    """
    A cursor of the sister.

    Args:
        connection: Whose it is.
        real: The cursor.
    """

    def __init__(self, connection: Connection, real: Any) -> None:
        self.connection = connection
        self._real = real
        self._rows: list[Any] | None = None
        self._count = -1

    def execute(self, query: Any, params: Any = None, **options: Any) -> Cursor:
        text = self.connection.text(query)
        self._run(text, (text, params), lambda: self._real.execute(query, params, **options), count=1)
        return self

    def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
        text, params = self.connection.text(query), list(params_seq)
        self._run(text, (text, params), lambda: self._real.executemany(query, params, **options), count=len(params))

    def _run(self, text: str, args: tuple[Any, ...], act: Any, *, count: int) -> None:
        writes, self._rows = self.connection.writes, None
        if first_word(text) in _CONTROL and writes.perform is not True:
            self._rows, self._count = [], -1  # our own transaction stands round all
            return
        if is_query(text):
            perform(act, (), {})
            return
        self.connection.check.note(writes.name, "execute", args, performed=writes.perform is True)
        if writes.perform:
            perform(act, (), {})
            return
        returns = writes.returns
        rows = answer(returns.get("execute") if isinstance(returns, dict) else returns, args, {})
        self._rows = list(rows) if rows is not None else []
        self._count = len(self._rows) or count

    def fetchone(self) -> Any:
        if self._rows is None:
            return self._real.fetchone()
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int = 1) -> list[Any]:
        if self._rows is None:
            return list(self._real.fetchmany(size))
        taken, self._rows = self._rows[:size], self._rows[size:]
        return taken

    def fetchall(self) -> list[Any]:
        if self._rows is None:
            return list(self._real.fetchall())
        taken, self._rows = self._rows, []
        return taken

    def __iter__(self) -> Iterator[Any]:
        return iter(self._real if self._rows is None else self.fetchall())

    @property
    def rowcount(self) -> int:
        """Rows read or written; those of a statement that was not performed are taken to be one for each execution."""
        return int(self._real.rowcount) if self._rows is None else self._count

    def copy(self, statement: Any, *_: Any, **__: Any) -> Any:
        raise EffectRefused(
            "COPY was refused: this consumer is only being checked.",
            remedy="Wrap the function that uses it.",
            effect="COPY",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._real.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)
