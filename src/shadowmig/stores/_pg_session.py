"""How a session is set up, so that what comes as text reads the same from all servers, and nothing takes too long."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from psycopg.conninfo import make_conninfo

from shadowmig.stores._pg_wire import Command

READ_ONLY: Final = "default_transaction_read_only"

SNAPSHOT: Final = Command(b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", keep=False)
"""Opens a transaction that sees one moment."""

WRITE: Final = Command(b"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", keep=False)
"""Opens a transaction that may write, unless the session may not."""


def _settings(timeout: float) -> dict[str, str]:
    return {
        "TimeZone": "UTC",
        "DateStyle": "ISO",
        "IntervalStyle": "postgres",
        "bytea_output": "hex",
        "extra_float_digits": "1",
        "lc_monetary": "C",
        "statement_timeout": str(max(1, int(timeout * 900))),  # milliseconds: the server gives up before we do
    }


def conninfo(parameters: Mapping[str, Any], timeout: float, *, read_only: bool) -> bytes:
    """Give the conninfo of a session of ours; ``timeout`` is in seconds."""
    settings = {**_settings(timeout), **({READ_ONLY: "on"} if read_only else {})}
    # Options, not statements: through a shared session of a pooler those would reach the service itself.
    given = parameters.get("options", os.environ.get("PGOPTIONS", ""))
    options = " ".join([str(given), *(f"-c {name}={value}" for name, value in settings.items())])
    ours = {"options": options, "client_encoding": "UTF8"}
    return make_conninfo("", **{"fallback_application_name": "shadowmig", **parameters, **ours}).encode()


def borrowed(timeout: float) -> Command:
    """Set up a session that is not ours, until the end of the transaction; ``timeout`` is in seconds."""
    settings = {**_settings(timeout), "client_encoding": "UTF8"}
    parts = [f"pg_catalog.set_config('{name}', '{value}', true)" for name, value in settings.items()]
    return Command(f"SELECT {', '.join(parts)}".encode(), keep=False)
