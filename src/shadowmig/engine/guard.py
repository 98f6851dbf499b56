"""
The one funnel for everything that goes wrong inside.

Each internal failure arrives with the name of its operation, is counted, and logged once for each kind. Nothing is
raised to the caller of a handler, with one exception: what was sent to the caller from outside while our code happened
to run (Ctrl-C, a signal handler's exception, a gevent kill or timeout) goes on to the caller, as it would without us.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from types import CodeType, TracebackType
from typing import Final

from shadowmig.errors import SnapshotError

OPERATIONS: Final = (
    "sample",
    "key",
    "hydrate",
    "snapshot",
    "extract",
    "submit",
    "run",
    "thaw",
    "touches",
    "carry",
    "production",
    "sister",
    "not_isolated",
    "version",
    "compare",
    "confirm",
    "tally",
    "fingerprint",
    "redact",
    "render",
    "explain",
    "on_comparison",
    "publish",
    "sink",
    "overhead",
)
"""
Every operation an internal failure can be reported under, in the order of a call.

``sample``, ``key``, ``hydrate``, ``snapshot``, ``extract`` and ``submit`` happen on the caller's path, the others off
it.
"""

_log = logging.getLogger("shadowmig")


class Guard:
    """
    Counts and logs internal failures.

    Args:
        name: What they belong to, for the log line.
        where: Where their counts are to be found, for the log line.
    """

    def __init__(self, name: str, where: str) -> None:
        self._name = name
        self._where = where
        self._lock = threading.RLock()  # a signal handler, or a finalizer, may call a handler in the middle of this
        self._counts: dict[str, int] = {}
        self._logged: set[tuple[str, type]] = set()

    @property
    def counts(self) -> dict[str, int]:
        """Failures by operation."""
        with self._lock:
            return dict(self._counts)

    def absorb(self, operation: str, error: BaseException) -> None:
        """Count and log a failure on the caller's path; what was sent from outside is raised again."""
        if sent_from_outside(error):
            raise error
        self.count(operation, error)

    def count(self, operation: str, error: BaseException | str) -> None:
        """Count a failure, and log it if it is the first of its kind (operation and class)."""
        kind = (operation, type(error))
        with self._lock:
            self._counts[operation] = self._counts.get(operation, 0) + 1
            first = kind not in self._logged
            self._logged.add(kind)
        if first:
            self._tell(operation, error)

    def _tell(self, operation: str, error: BaseException | str) -> None:
        # The text of an exception may hold a user's data, and no redactor has seen it: the class and place must do.
        # Ours about snapshots name classes only.
        try:
            detail: object = error
            if not isinstance(error, str | SnapshotError):
                detail = f"{type(error).__name__} {_place(error.__traceback__)}"
            _log.warning(
                "shadowmig: %s: operation %r failed: %s (logged once; counted in %s)",
                self._name,
                operation,
                detail,
                self._where,
            )
        except BaseException as failure:
            # A broken log handler has nowhere left to be reported, and what it failed to log is counted above.
            if sent_from_outside(failure):
                raise


def _place(traceback: TracebackType | None) -> str:
    """Say where an exception was raised."""
    if traceback is None:
        return ""
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return f"at {traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"


def sent_from_outside(error: BaseException) -> bool:
    """
    Whether an exception was sent to this thread from outside rather than raised by the code that ran.

    True for ``KeyboardInterrupt`` in the main thread, for what a Python signal handler raised (any exception), and for
    gevent's kills and timeouts, whatever exception these were told to raise.
    """
    greenlet = sys.modules.get("greenlet")
    if greenlet is not None and isinstance(error, greenlet.GreenletExit):
        return True
    timeouts = sys.modules.get("gevent.timeout")
    if timeouts is not None and isinstance(error, timeouts.Timeout):
        return True
    if timeouts is not None and not isinstance(error, Exception) and _thrown_by_gevent(error.__traceback__):
        return True
    if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
        return True
    # Under gevent the main thread runs many greenlets, none of which `threading` takes for it.
    return _passed_a_signal_handler(error.__traceback__)


def _thrown_by_gevent(traceback: TracebackType | None) -> bool:
    """Whether it was thrown into a greenlet that waited: its innermost frame is gevent's switch."""
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and traceback.tb_frame.f_globals.get("__name__", "").startswith("gevent.")


def _passed_a_signal_handler(traceback: TracebackType | None) -> bool:
    handlers = {code for number in signal.valid_signals() if (code := _code(signal.getsignal(number))) is not None}
    while traceback is not None:
        if traceback.tb_frame.f_code in handlers:
            return True
        traceback = traceback.tb_next
    return False


def _code(handler: object) -> CodeType | None:
    function = getattr(handler, "__func__", handler)
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None
