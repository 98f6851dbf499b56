"""
Connections and cursors of psycopg inside of a check: queries are run on the sister, other statements recorded.

Unless statements are to stay, everything happens in a transaction that is rolled back in the end. So a query that
calls a writing function leaves nothing behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, ClassVar, Final, NoReturn, Self

from shadowmig.wire.effects._check import Check, answer, perform
from shadowmig.wire.effects._clients import Writes
from shadowmig.wire.fence import lifted

_QUOTED: Final = (
    r"(?<!\w)[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$"
    r"|--[^\n]*\n?|/\*.*?\*/"
)
_CODE = re.compile(_QUOTED, re.DOTALL)
_SPACES = re.compile(rf"(?P<kept>{_QUOTED})|\s+", re.DOTALL)
_LOCKS = re.compile(r"\bFOR\s+(NO\s+KEY\s+)?UPDATE\b", re.IGNORECASE)
_WRITES = re.compile(
    r"\b(INSERT|UPDATE|DELETE|MERGE|INTO|ANALYZE|NEXTVAL|SETVAL|DBLINK\w*|LO_\w+|PG_NOTIFY|PG_LOGICAL_EMIT_MESSAGE"
    r"|PG_\w*ADVISORY\w*|PG_TERMINATE_BACKEND|PG_CANCEL_BACKEND|PG_RELOAD_CONF|PG_PROMOTE|PG_SWITCH_WAL)\b",
    re.IGNORECASE,
)
_FIRST = re.compile(r"[\s(]*(\w+)")
_QUERIES: Final = frozenset({"SELECT", "VALUES", "TABLE", "SHOW", "WITH", "EXPLAIN", "SET", "RESET"})
_CONTROL: Final = frozenset({"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"})


def first_words(statement: str) -> set[str]:
    """Give what each of the statements in a text begins with, in capitals."""
    parts = _CODE.sub(" ", statement).split(";")
    found = [_FIRST.match(part) for part in parts if part.strip()]
    return {each[1].upper() if each else "" for each in found}


def is_query(statement: str) -> bool:
    """Tell whether a statement, or each of several, only reads as far as its text tells."""
    words = first_words(statement)
    return bool(words) and words <= _QUERIES and not _WRITES.search(_LOCKS.sub(" ", _CODE.sub(" ", statement)))


def one_line(statement: str) -> str:
    """Make each run of white space one space, but for what is in quotes."""
    return _SPACES.sub(lambda found: found["kept"] or " ", statement).strip()


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


@contextmanager
def _outside(block: AbstractContextManager[Any]) -> Iterator[Any]:
    """Enter and leave a block outside of the fence; what is done in it is inside."""
    value = perform(block.__enter__, (), {})
    try:
        yield value
    except BaseException as error:
        with lifted():
            swallowed = block.__exit__(type(error), error, error.__traceback__)
        if not swallowed:
            raise
    else:
        with lifted():
            block.__exit__(None, None, None)


class _Guarded:
    """What stands for something of psycopg's: what it does not know itself, and does not only look, is refused."""

    LOOKS: ClassVar[frozenset[str]] = frozenset()
    SETS: ClassVar[frozenset[str]] = frozenset()
    """Attributes that may be set on the real one, of which only the check knows."""

    def __init__(self, writes: Writes, check: Check, real: Any) -> None:
        self._writes = writes
        self._check = check
        self._real = real

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        if name not in self.LOOKS:
            self._refuse(name)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            vars(self)[name] = value
        elif name in self.SETS:
            setattr(self._real, name, value)
        else:
            self._refuse(name)

    def _refuse(self, name: str) -> NoReturn:
        self._check.refuse(f"{self._writes.name}.{name}", "Wrap the function that uses it.")


class _Pool(_Guarded):
    LOOKS = frozenset("name min_size max_size timeout closed get_stats".split())

    @contextmanager
    def connection(self, *args: Any, **kwargs: Any) -> Iterator[Connection]:
        with _outside(self._real.connection(*args, **kwargs)) as real:
            connection = Connection(self._writes, self._check, real)
            connection.open()
            try:
                yield connection
            finally:
                connection.shut()

    def _refuse(self, name: str) -> NoReturn:
        self._check.refuse(f"{self._writes.name}.{name}", "Use its connection().")


class Connection(_Guarded):
    """
    A connection of the sister.

    Args:
        writes: What becomes of writes.
        check: The running check.
        real: The connection.
    """

    LOOKS = frozenset("adapters autocommit broken closed deferrable info isolation_level read_only".split())

    def __init__(self, writes: Writes, check: Check, real: Any) -> None:
        super().__init__(writes, check, real)
        self._frame = ExitStack()
        vars(self).update(row_factory=real.row_factory)

    def open(self) -> None:
        """Begin the transaction that will be rolled back."""
        if self._writes.perform is not True:
            self._frame.enter_context(_outside(self._real.transaction(force_rollback=True)))

    def shut(self) -> None:
        """End it."""
        self._frame.close()

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "row_factory":
            vars(self)[name] = value  # for the cursors of this check; the connection goes back as it was
        else:
            super().__setattr__(name, value)

    def cursor(self, *args: Any, **kwargs: Any) -> Cursor:
        return Cursor(self, self._real.cursor(*args, **{"row_factory": self.row_factory} | kwargs))

    def execute(self, query: Any, params: Any = None, **options: Any) -> Cursor:
        return self.cursor().execute(query, params, **options)

    def commit(self) -> None:
        if self._writes.perform is True:
            perform(self._real.commit, (), {})

    def rollback(self) -> None:
        if self._writes.perform is True:
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


class Cursor(_Guarded):
    """
    A cursor of the sister.

    Args:
        connection: Whose it is.
        real: The cursor.
    """

    LOOKS = frozenset("adapters arraysize close closed format itersize mogrify name row_factory scrollable".split())
    SETS = frozenset({"arraysize", "format", "itersize", "row_factory"})
    RESULTS = frozenset("description nextset rowcount rownumber scroll statusmessage".split())
    """What tells of a result, which only a statement that was performed has."""

    def __init__(self, connection: Connection, real: Any) -> None:
        super().__init__(connection._writes, connection._check, real)
        vars(self).update(connection=connection)
        self._rows: list[Any] | None = None
        self._performed = True
        self._count = -1

    def execute(self, query: Any, params: Any = None, **options: Any) -> Cursor:
        self._run(query, params, lambda: self._real.execute(query, params, **options), count=1)
        return self

    def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
        params = list(params_seq)
        self._run(query, params, lambda: self._real.executemany(query, params, **options), count=len(params))

    def _run(self, query: Any, params: Any, act: Any, *, count: int) -> None:
        writes = self._writes
        text = query.decode() if isinstance(query, bytes) else query
        text = text if isinstance(text, str) else text.as_string(self._real)
        self._performed, self._rows = writes.perform is True, None
        words = first_words(text)
        if words and words <= _CONTROL and not self._performed:
            self._rows, self._count = [], -1  # our own transaction stands round all
            return
        if is_query(text):
            self._performed = True
            perform(act, (), {})
            return
        self._check.note(writes.name, "execute", (one_line(text), params), performed=self._performed)
        if writes.perform:
            if writes.perform == "rollback" and words & _CONTROL:
                self._refuse("execute")  # it would end our transaction
            self._performed = True
            perform(act, (), {})
            return
        returns = writes.returns
        rows = answer(returns.get("execute") if isinstance(returns, dict) else returns, (one_line(text), params), {})
        self._rows = None if rows is None else list(rows)
        self._count = count if self._rows is None else len(self._rows)

    def _told(self) -> list[Any]:
        """Give the rows that a statement was told to give."""
        rows = self._rows
        if rows is None:
            self._check.refuse(f"{self._writes.name}.fetch", 'Say what it gives: returns={"execute": rows}.')
        return rows

    def fetchone(self) -> Any:
        if self._performed:
            return self._real.fetchone()
        return self._told().pop(0) if self._told() else None

    def fetchmany(self, size: int = 0) -> list[Any]:
        if self._performed:
            return list(self._real.fetchmany(size))
        size = size or self._real.arraysize
        taken, self._rows = self._told()[:size], self._told()[size:]
        return taken

    def fetchall(self) -> list[Any]:
        if self._performed:
            return list(self._real.fetchall())
        taken, self._rows = self._told(), []
        return taken

    def __iter__(self) -> Iterator[Any]:
        return iter(self._real if self._performed else self.fetchall())

    @property
    def rowcount(self) -> int:
        """Rows read or written; those of a statement that was not performed are taken to be one for each execution."""
        return int(self._real.rowcount) if self._performed else self._count

    def __getattr__(self, name: str) -> Any:
        if name in self.RESULTS and self._performed:
            return getattr(self._real, name)
        return super().__getattr__(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._real.close()
