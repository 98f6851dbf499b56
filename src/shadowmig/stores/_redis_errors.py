"""The errors of the Redis driver, in our words: which may pass by themselves, and what to do about the others."""

from __future__ import annotations

from typing import Final

from redis import exceptions as driver

from shadowmig.errors import StoreError, StoreUnavailable

_REMEDIES: Final = {
    "EXECABORT": "Nothing was written; see the error it was raised from.",
    "MOVED": "Give a cluster client as reader=.",
    "NOPERM": "Let this user read keys and streams (and, for a sister, write them).",
    "OOM": "The server's memory is full: give it more, or empty the sister with reset().",
    "READONLY": "This server is a replica: give the address of its primary.",
    "WRONGTYPE": "The key holds another type than the ref or the record says.",
}

_REFUSALS = (driver.AuthenticationError, driver.AuthorizationError, driver.AuthenticationWrongNumberOfArgsError)
_PASSING: Final = frozenset(("CLUSTERDOWN", "LOADING", "MASTERDOWN", "TRYAGAIN"))


def translate(error: Exception, store: str, *, where: str = "") -> StoreError:
    """
    Say in our words what the driver raised or the server replied.

    The server's own text is left out, for it may quote arguments; it is in the error that this one is raised from.

    Args:
        error: What came from the driver.
        store: The store, as it calls itself.
        where: The ref it is about, if it is about one.
    """
    about = f" for {where}" if where else ""
    if isinstance(error, _REFUSALS):
        return StoreError(
            f"{store} refused the user or the password.", remedy="Check the URL or the client given.", store=store
        )
    code = _code(error) if isinstance(error, driver.ResponseError) else None
    if code is not None and code not in _PASSING:
        return StoreError(
            f"{store} refused a command{about}: {code}.", remedy=_REMEDIES.get(code, ""), store=store, code=code
        )
    kind = "did not answer in time" if isinstance(error, driver.TimeoutError | TimeoutError) else "cannot be reached"
    return StoreUnavailable(
        f"{store} {kind} ({type(error).__name__}){about}.", remedy="Later calls try again.", store=store
    )


_CODES: Final = {
    driver.OutOfMemoryError: "OOM",
    driver.NoPermissionError: "NOPERM",
    driver.ReadOnlyError: "READONLY",
    driver.ExecAbortError: "EXECABORT",
    driver.MovedError: "MOVED",
    driver.ClusterDownError: "CLUSTERDOWN",
    driver.TryAgainError: "TRYAGAIN",
}


def _code(error: driver.ResponseError) -> str:
    """Return the first word of the reply, which the driver takes off where it has a class for it."""
    word = str(error).partition(" ")[0]
    known = next((code for kind, code in _CODES.items() if isinstance(error, kind)), None)
    return known or (word if word.isalpha() and word.isupper() else "ERR")


def is_wrong_type(reply: object) -> bool:
    """Whether a reply says that the key holds another type than the command is for."""
    return isinstance(reply, driver.ResponseError) and str(reply).startswith("WRONGTYPE")
