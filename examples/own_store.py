"""
A store adapter of your own: keys and JSON values in an SQLite file.

Run it with ``python examples/own_store.py``. ``tests/examples/test_own_store.py`` runs the contract of stores on it.
"""

import json
import secrets
import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shadowmig import Migration, SisterStore
from shadowmig.errors import ProductionRefused, StoreError, StoreUnavailable
from shadowmig.model import MISSING, Reading, Record, Ref

SCHEMA = "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value TEXT NOT NULL, token TEXT NOT NULL)"


# docs begin store
class SqliteStore:
    """Keys and JSON values in one SQLite file."""

    def __init__(self, path: str | Path, *, timeout: float = 5.0) -> None:
        self._path = Path(path).absolute()
        self._timeout = timeout
        self._read_only = False
        self._client = Client(self)

    def __repr__(self) -> str:
        return f"SqliteStore({str(self._path)!r})"

    def client(self) -> Any:
        """Give the service's code something to work with."""
        return self._client

    def identity(self) -> str:
        """Say which file this is, by whatever name it was opened."""
        with self.connection(write=not self._read_only):
            status = self._path.stat()
        return f"sqlite {status.st_dev}:{status.st_ino}"

    def read(self, refs: Sequence[Ref], *, since: Any = None, timeout: float | None = None) -> Reading:
        """Read all keys by one statement."""
        keys = [_key(ref) for ref in refs]
        marks = ", ".join("?" * len(keys))
        with self.connection() as connection:
            rows = connection.execute(f"SELECT key, value, token FROM entries WHERE key IN ({marks})", keys)  # noqa: S608 - only question marks are put in
            found = {key: (json.loads(value), token) for key, value, token in rows}
        return Reading(
            tuple(_record(ref, *found.get(key, (MISSING, None))) for ref, key in zip(refs, keys, strict=True))
        )

    def write(self, records: Sequence[Record]) -> None:
        """Write all of them or none; one without a value is deleted."""
        with self._writing() as connection:
            for record in records:
                if record.exists:
                    put(connection, _key(record.ref), record.value)
                else:
                    connection.execute("DELETE FROM entries WHERE key = ?", [_key(record.ref)])

    def delete(self, refs: Sequence[Ref]) -> None:
        """Remove keys."""
        self.write([Record(ref) for ref in refs])

    def reset(self) -> None:
        """Remove everything."""
        with self._writing() as connection:
            connection.execute("DELETE FROM entries")

    def forbid_writes(self) -> None:
        """From now on open the file read-only, so that SQLite itself refuses writes."""
        self._read_only = True

    def plant(self, nonce: str) -> None:
        """Leave a mark, or take it away."""
        with self._writing() as connection:
            connection.execute("DELETE FROM entries WHERE key = 'shadowmig:nonce'")
            if nonce:
                put(connection, "shadowmig:nonce", nonce)

    def finds(self, nonce: str) -> bool:
        """Look for the mark."""
        return self.read([Ref("", "key", "", ("shadowmig:nonce",))]).records[0].value == nonce

    def close(self) -> None:
        """Do nothing: each call has a connection of its own."""
        # docs end

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        if self._read_only:
            raise ProductionRefused(f"{self!r} is read only.", store=repr(self))
        with self.connection(write=True) as connection:
            yield connection

    @contextmanager
    def connection(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        """Open the file, and commit at the end of the block."""
        try:
            if write:
                connection = sqlite3.connect(self._path, timeout=self._timeout, isolation_level="IMMEDIATE")
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute(SCHEMA)
            else:
                self._path.exists() or sqlite3.connect(self._path).execute(SCHEMA).connection.close()
                connection = sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True, timeout=self._timeout)
            try:
                with connection:
                    yield connection
            finally:
                connection.close()
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(f"{self!r} does not answer: {error}.", store=repr(self)) from error


# docs begin helpers
def put(connection: sqlite3.Connection, key: str, value: Any) -> None:
    """Write a key with a new token."""
    row = [key, json.dumps(value), secrets.token_hex(8)]
    connection.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", row)


def _key(ref: Ref) -> str:
    if ref.kind != "key" or len(ref.key) != 1 or not isinstance(ref.key[0], str):
        raise StoreError(f"A {ref.kind} is no key of this store.", remedy="Make refs by key('text').")
    try:
        ref.key[0].encode()
    except UnicodeEncodeError:
        raise StoreError("A key is no Unicode text.", remedy="Use a text without lone surrogates.") from None
    return ref.key[0]


def _record(ref: Ref, value: Any, token: str | None) -> Record:
    version = value.get("version") if isinstance(value, dict) else None
    return Record(ref, value, version=version, token=token)
    # docs end


class Client:
    """What the service's code works with."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._lock = threading.Lock()

    def get(self, key: str) -> Any:
        """Give a value, or None."""
        value = self._store.read([Ref("", "key", "", (key,))]).records[0].value
        return None if value is MISSING else value

    def set(self, key: str, value: Any) -> None:
        """Store a value."""
        with self._lock, self._store.connection(write=True) as connection:
            put(connection, key, value)


def main() -> list[str]:
    """Compare a small write, and show what was found."""
    with tempfile.TemporaryDirectory() as folder:
        settings = SisterStore(
            name="settings",
            production=SqliteStore(Path(folder, "production.db")),
            sister=SqliteStore(Path(folder, "sister.db")),
        )

        def old_set_theme(user: str, theme: str) -> None:
            before = settings.client().get(f"user:{user}") or {"version": 0}
            settings.client().set(f"user:{user}", {"theme": theme, "version": before["version"] + 1})

        def new_set_theme(user: str, theme: str) -> None:
            before = settings.client().get(f"user:{user}") or {"version": 0}
            settings.client().set(f"user:{user}", {"theme": theme.lower(), "version": before["version"] + 1})

        with Migration("settings", sinks=[]) as migration:
            set_theme = migration.write(
                old_set_theme,
                candidate=new_set_theme,
                name="set_theme",
                hydrate=lambda call: [settings.key(f"user:{call['user']}")],
                touches=lambda call: [settings.key(f"user:{call['user']}")],
                hydrate_timeout=1.0,
            )
            set_theme("ada", "dark")
            set_theme("bob", "Light")
            migration.flush()
            for user in ("ada", "bob"):
                print(user, settings.client().get(f"user:{user}"))
            return [
                f"{finding.store} {finding.record} {finding.path} {finding.kind}: "
                f"{finding.examples[0].control} | {finding.examples[0].candidate}"
                for finding in migration.findings()
            ]


if __name__ == "__main__":
    print("\n".join(main()))
