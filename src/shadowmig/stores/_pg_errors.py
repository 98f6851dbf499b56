"""The server's refusals, in our words: which may pass by themselves, and what to do about the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shadowmig.errors import StoreError, StoreUnavailable
from shadowmig.stores._pg_wire import Late

if TYPE_CHECKING:
    import psycopg

_PASSING: Final = ("08", "40", "53300", "55P03", "57")
"""States, or their first letters, after which a later try may do better. 57 has the timeouts and shutdowns."""

_REMEDIES: Final = {
    "0A000": "Name a plain or partitioned table in Table(...), not a view.",
    "22": "Give values of the types that the columns have.",
    "23503": "Drop the sister's foreign keys, let its user set session_replication_role, or hydrate the parent too.",
    "23": "The sister holds other rows than production, or lacks what a column needs: reset() and provision it anew.",
    "25006": "This server or user may only read: give the address of the primary.",
    "42501": "Grant this user what it needs: SELECT for production, everything for the sister.",
    "42703": "Correct key=, version= or columns= of its Table, or bring the schema up to date.",
    "42883": "Give key values of the types that the columns have.",
    "42P01": "Create it, or correct name= or schema= of its Table.",
    "42804": "Give values of the types that the columns have.",
    "53": "The server is short of disk or memory: give it more, or empty the sister with reset().",
}


def refusal(error: psycopg.Error, store: str, table: str, *, write: bool) -> StoreError:
    """
    Say in our words what the server refused.

    Its own text is left out where it may quote values; it is in the error that this one is raised from.

    Args:
        error: What psycopg makes of the server's answer.
        store: The store, as it calls itself.
        table: The table it is about, or nothing.
        write: Whether something was to be written.
    """
    state = error.sqlstate or ""
    about = f" table {table!r}:" if table else ":"
    if state.startswith(_PASSING):
        return StoreUnavailable(
            f"{store}{about} the server gave up ({type(error).__name__}).",
            remedy="Later calls try again.",
            store=store,
            code=state,
        )
    remedy = next((text for start, text in _REMEDIES.items() if state.startswith(start)), "")
    constraint = f" of {error.diag.constraint_name!r}" if error.diag.constraint_name else ""
    # In this class, texts quote names and types only: our values never stand in a statement.
    text = f": {error.diag.message_primary}" if state.startswith("42") else ""
    return StoreError(
        f"{store}{about} the server refused to {'write' if write else 'read'}"
        f" ({type(error).__name__}{constraint}{text}).",
        remedy=remedy,
        store=store,
        code=state,
    )


def outage(error: BaseException, store: str, seconds: float) -> StoreUnavailable:
    """Say in our words that there was no answer."""
    if isinstance(error, Late | TimeoutError):
        return StoreUnavailable(
            f"{store} did not answer within {seconds:g} s.",
            remedy="Later calls try again; a longer timeout= waits longer.",
            store=store,
        )
    return StoreUnavailable(
        f"{store} cannot be reached.", remedy="Check that the server runs and the conninfo is right.", store=store
    )
