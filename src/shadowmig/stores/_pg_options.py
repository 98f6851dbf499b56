"""What a `PostgresStore` checks of its options when it is built."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from shadowmig.errors import ConfigError
from shadowmig.stores.tables import Table


def parameters(conninfo: str | None, pool: Any) -> dict[str, Any]:
    if pool is not None and not callable(getattr(pool, "connection", None)):
        raise ConfigError(
            f"pool is a {type(pool).__name__}, which has no connection().",
            remedy="Give a psycopg_pool.ConnectionPool, or an object like it.",
            field="pool",
            value=pool,
        )
    if (conninfo is None) is (pool is None):
        raise ConfigError(
            f"conninfo and pool are {'both missing' if pool is None else 'both given'}.",
            remedy="Give one of them.",
            field="conninfo",
        )
    if conninfo is None:
        return {}
    try:
        return conninfo_to_dict(conninfo)
    except (psycopg.Error, TypeError, ValueError, AttributeError):
        # Neither the value nor the error, which quotes it: there may be a password in it.
        raise ConfigError(
            "conninfo is none that libpq understands.",
            remedy="Use postgresql://user@host:5432/database, or host=... dbname=...",
            field="conninfo",
        ) from None


def place(given: Mapping[str, Any]) -> str:
    host = given.get("host") or given.get("hostaddr") or os.environ.get("PGHOST", "")
    port = given.get("port") or os.environ.get("PGPORT", "5432")
    return f"{host}:{port}/{given.get('dbname') or os.environ.get('PGDATABASE', '')}"


def check_names(table: Table) -> None:
    for name in (table.name, table.schema or "", *table.key, *(table.columns or ())):
        try:
            bad = b"\0" in name.encode()
        except UnicodeEncodeError:
            bad = True
        if bad:
            raise ConfigError(
                f"tables has the name {name!r}, which Postgres cannot have.",
                remedy="Use a name without NUL and surrogates.",
                field="tables",
                value=name,
            )
