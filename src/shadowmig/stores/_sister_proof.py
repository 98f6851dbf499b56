"""
The proof that a sister and production are two stores: by what the servers say, and by a mark that only one may show.

Danger: a production handle that reads a lagging replica of the sister's own server does not show the mark in time. The
identities must tell such a pair; that is each adapter's part.
"""

from __future__ import annotations

import contextlib
import copy
import secrets
import threading
import time
from contextvars import Context
from typing import Final

from shadowmig.errors import NotIsolated, StoreError
from shadowmig.protocols import Store

_TRIES: Final = 12
_FIRST_WAIT: Final = 0.02
_LONGEST_WAIT: Final = 1.0
_UNREACHED: Final = 0.5, 30.0
"""First and longest pause in seconds after a proof that could not be carried through."""
_REFUTED: Final = 60.0, 3600.0
"""The same after one that showed them to be one store: it may have marked production, which must not happen often."""


class Proof:
    """
    What one process knows about a pair of stores. Safe for threads: one of them proves, the others wait for it.

    Args:
        production: The one.
        sister: The other one.
    """

    def __init__(self, production: Store, sister: Store) -> None:
        self._production = production
        self._sister = sister
        self._lock = threading.Lock()
        self._error: StoreError | None = None
        self._failures = 0
        self._again = 0.0
        self.isolated: bool | None = None
        self.identity: str | None = None

    def require(self) -> None:
        """
        Prove unless it is proved; after a failure only when a growing pause is over, and until then fail again.

        Raises:
            NotIsolated: They are one store, or the sister does not keep what is written to it.
            StoreUnavailable: One of them could not be reached.
            StoreError: One of them refused.
        """
        if self.isolated:
            return
        with self._lock:
            if self.isolated:
                return
            if self._error is not None and time.monotonic() < self._again:
                raise copy.copy(self._error)
            try:
                # In a context of its own: whoever asks for the proof, it is not the checked side that reads production.
                self.identity = Context().run(_prove, self._production, self._sister)
            except StoreError as error:
                self._failed(error)
                raise
            self._error, self._failures, self.isolated = None, 0, True

    def doubt(self) -> None:
        """Have it proved anew, because another server may have taken the sister's place."""
        if self.isolated:
            self.isolated = None

    def _failed(self, error: StoreError) -> None:
        refuted = isinstance(error, NotIsolated)
        first, longest = _REFUTED if refuted and getattr(error, "test", "") != "sister" else _UNREACHED
        self._error = copy.copy(error)  # without the traceback, which would keep its frames alive
        self._again = time.monotonic() + min(first * 2.0 ** min(self._failures, 16), longest)
        self._failures += 1
        self.isolated = False if refuted else None


def _prove(production: Store, sister: Store) -> str:
    """Prove, and give the sister's identity."""
    identity = sister.identity()
    if production.identity() == identity:
        raise _not_isolated(
            sister,
            f"{sister!r} and {production!r} are one store by their identities.",
            "Give the sister another.",
            "identity",
        )
    for tried in range(_TRIES):
        nonce = secrets.token_hex(16)
        sister.plant(nonce)
        shown = kept = True
        try:
            # In this order: the sister still has the mark after production was asked, so it was there to be seen.
            shown, kept = production.finds(nonce), sister.finds(nonce)
        finally:
            if shown or kept:  # else it is another process's, which needs it
                with contextlib.suppress(StoreError):  # a mark that stays does no harm
                    sister.plant("")
        if shown:
            raise _not_isolated(
                sister,
                f"A mark planted in {sister!r} showed in {production!r}.",
                "They lead to one store, perhaps by two names or through a proxy; give the sister another.",
                "production",
            )
        if kept:
            return identity
        # Other processes prove at the same time, each with a mark that replaces the one before. Workers forked together
        # would share the numbers of the module random.
        time.sleep(secrets.randbelow(1000) / 1000 * min(_FIRST_WAIT * 2**tried, _LONGEST_WAIT))
    raise _not_isolated(
        sister,
        f"A mark planted in {sister!r} was not found there.",
        "It must keep what is written; is it full, or one of several servers behind a proxy?",
        "sister",
    )


def _not_isolated(sister: Store, message: str, remedy: str, test: str) -> NotIsolated:
    return NotIsolated(message, remedy=remedy, store=repr(sister), test=test)
