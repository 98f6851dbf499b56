"""
The real legacy consumer, as it is, fed with the candidate's events: what would it do with them?

**When:** other teams consume your events, and cannot change their code for your migration.
**Example:** ``consumer = Consumer(decode=legacy.decode, handle=legacy.handle, effects=effects)``; in a test
``consumer.check(new_bytes, like=old_bytes)``, live ``EventStream(..., consumer=consumer)``.
**Units:** ``deadline`` is seconds.

Both events, production's and the sister's, go through the same ``decode`` and ``handle``, each in a context of its own.
There sister stores hand out the sister's clients, side effects are recorded instead of performed
(`shadowmig.wire.effects`), and a fence refuses what would reach the world (`shadowmig.wire.fence`). What the two runs
tried is compared.

Danger: what has effects must go through stand-ins or the fence; `shadowmig.wire.fence` says what no fence sees. A
handler that hangs cannot be stopped: its thread stays until it ends by itself, still fenced.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from contextvars import copy_context
from datetime import timedelta
from functools import partial
from threading import Event
from time import monotonic, perf_counter
from typing import Any, Final, Literal, TypeAlias

from shadowmig.compare import structural
from shadowmig.errors import ConfigError
from shadowmig.given import seconds
from shadowmig.model import MISSING, Differences, Raised, Side
from shadowmig.protocols import Comparator
from shadowmig.side import CHECKED_SIDE, MIRRORED
from shadowmig.wire.consumers import _compare
from shadowmig.wire.consumers._file import Pair, record
from shadowmig.wire.consumers._model import Outcome, Status, as_raised, said
from shadowmig.wire.consumers._report import ConsumerReport, Fault, replay
from shadowmig.wire.consumers._worker import SETTLE, Crew, Hung, settle, wait_for
from shadowmig.wire.effects import Effect, Effects
from shadowmig.wire.effects._check import CHECK, Check
from shadowmig.wire.effects._snapshot import snapshot
from shadowmig.wire.fence import FENCE, Refused, install

__all__ = ["Consumer", "ConsumerReport", "Effect", "Effects", "Fault", "Outcome", "Pair", "Refused", "Status", "record"]

Data: TypeAlias = bytes | Mapping[Any, Any]
"""An event as it lies in a stream, by its bytes or by its fields."""


class Consumer:
    """
    A consumer of events, as it is.

    Runs in a thread of its own, so that a handler that hangs does not hang you; without a deadline in the caller's
    thread, as handlers need that use connections of the thread they run in. An async consumer always runs in a thread
    of its own, on an event loop that stays, so let it make its clients at first use. Safe for threads, and in a forked
    child.

    Args:
        decode: Makes an event of bytes, or of a dict of fields; a function or coroutine function. ``None`` means that
            it passes the event over.
        handle: Handles the event; likewise.
        effects: Where the stand-ins come from that the code uses, with the addresses it may reach.
        name: What reports call it; by default the name of ``handle``.
        deadline: Seconds for one event, or ``None`` for no end.
        skipped: Tells of what ``handle`` returned whether it means that the event was passed over.
        compare: Compares values, and effects: a dict by target of lists of dicts with ``method``, ``args`` and
            ``kwargs``; instead of lists dicts by number where one side has more.
        ordered: Whether effects on one target must come in the same order; between targets there is none.
        values: Whether to compare what ``handle`` returns.
        errors: What must be the same for errors of both events to be alike: ``"message"`` (class and text),
            ``"type"`` or ``"any"``.

    Raises:
        ConfigError: An option is wrong.
    """

    def __init__(
        self,
        *,
        decode: Callable[[Any], Any],
        handle: Callable[[Any], Any],
        effects: Effects | None = None,
        name: str = "",
        deadline: float | timedelta | None = 5.0,
        skipped: Callable[[Any], bool] | None = None,
        compare: Comparator | None = None,
        ordered: bool = True,
        values: bool = False,
        errors: Literal["message", "type", "any"] = "message",
    ) -> None:
        wrong = {
            "decode": not callable(decode),
            "handle": not callable(handle) or _yields(handle),
            "effects": not isinstance(effects, Effects | None),
            "skipped": skipped is not None and not callable(skipped),
            "compare": compare is not None and not callable(compare),
            "errors": errors not in _compare.ALIKE,
        }
        for field, bad in wrong.items():
            if bad:
                value = locals()[field]
                raise ConfigError(f"{field} is {value!r}.", remedy=_REMEDIES[field], field=field, value=value)
        self.name = name or getattr(handle, "__qualname__", type(handle).__qualname__)
        self._decode = decode
        self._handle = handle
        self._effects = effects or Effects()
        self._deadline = None if deadline is None else seconds(deadline, "deadline")
        self._skipped = skipped
        self._compare = compare or structural()
        self._options: dict[str, Any] = {"ordered": ordered, "values": values, "errors": errors}
        self._async = any(_is_async(function) for function in (decode, handle))
        self._crew = Crew()

    def __repr__(self) -> str:
        return f"Consumer({self.name!r})"

    def run(self, data: Data) -> Outcome:
        """
        Give an event to the consumer, and see what it would do.

        Whatever decode and handle raise is part of the outcome, `SystemExit` too. In the caller's thread, that is
        without a deadline, `KeyboardInterrupt` and what asyncio and gevent stop code with pass through.

        Args:
            data: The event's bytes; or a dict of fields, for events that have several.

        Raises:
            ConfigError: The fence cannot be put up.
        """
        install()
        check = Check(self._effects.fence())
        end = None if self._deadline is None else monotonic() + self._deadline
        context, returned = copy_context(), Event()
        inline = self._deadline is None and not self._async
        given = dict(data) if isinstance(data, Mapping) else data
        started = perf_counter()

        def inside() -> Outcome:
            return context.run(self._inside, check, given, end, inline, returned)

        try:
            if inline:
                return inside()
            # A loop is given longer, to cancel what hangs on it and to wait for what was left there.
            longer = 2 * SETTLE if self._async else 0.0
            return self._crew.do(inside, self._deadline and self._deadline + longer, returned.is_set)
        except Hung as error:
            return _outcome(check, started, "hung", error=as_raised(error))
        finally:
            check.seal()

    def _inside(self, check: Check, data: Any, end: float | None, inline: bool, returned: Event) -> Outcome:
        """Run in the context of the check, which is thrown away afterwards."""
        CHECKED_SIDE.set(Side.CANDIDATE)
        MIRRORED.set(True)
        CHECK.set(check)
        FENCE.set(check.fence)
        started = perf_counter()
        try:
            status, value, error, left = self._consumed(data, end, inline)
            returned.set()
            if status != "hung":
                left += settle(check.fence.futures())
        finally:
            check.seal()
            check.end()
        return _outcome(check, started, status, value=value, error=error, unfinished=left)

    def _consumed(self, data: Any, end: float | None, inline: bool) -> tuple[Status, Any, Raised | None, int]:
        """Decode and handle; give status, answer, error, and how much goes on after it."""
        status: Status = "undecodable"
        left = 0
        try:
            event, left = self._settled(self._decode(data), end, inline)
            if event is None:
                return "skipped", None, None, left
            status = "raised"
            result, more = self._settled(self._handle(event), end, inline)
            left += more
            passed = self._skipped is not None and self._skipped(result)
            return "skipped" if passed else "handled", snapshot(result), None, left
        except Hung as error:
            return "hung", MISSING, as_raised(error), left
        except BaseException as error:
            if inline and not isinstance(error, Exception | SystemExit):
                raise
            return status, MISSING, as_raised(error), left

    def _settled(self, value: Any, end: float | None, inline: bool) -> tuple[Any, int]:
        if not inspect.isawaitable(value):
            return value, 0
        if inline:  # a function that does not look like a coroutine function gave a coroutine
            return self._crew.do(partial(copy_context().run, wait_for, value, end), None)
        return wait_for(value, end)

    def compare(self, *, production: Data, sister: Data) -> Differences:
        """
        Give both events of a pair to the consumer, production's first, and compare what it would do.

        Args:
            production: The event as it is in production.
            sister: The event as the candidate wrote it.

        Returns:
            The differences, with production's side as ``control``. Their paths are ``@decode`` (an event cannot be
            decoded: a poison pill), ``@raised``, ``@hung``, ``@skipped`` (one was passed over, or had no effect where
            the other one had), ``@effects`` with target, number and place in the arguments, ``@value`` and
            ``@refused``. Where both fail alike there is none. Ignored ones say why a pair that is alike proves nothing:
            the fence or a stand-in refused both something, both hang, or work went on after the handler. In the last
            case effects that differ are among them, for others may have been still to come.

        Raises:
            ConfigError: The fence cannot be put up.
            Exception: Whatever the comparator raised.
        """
        return self._differences(self.run(production), self.run(sister))

    def _differences(self, control: Outcome, candidate: Outcome) -> Differences:
        return _compare.of(control, candidate, compare=self._compare, **self._options)

    def check(self, data: Data, *, like: Data | None = None) -> Outcome:
        """
        Assert in a test that the consumer does the same with two events.

        Args:
            data: The candidate's event.
            like: Production's; without it ``data`` must be handled.

        Returns:
            What the consumer did with ``data``.

        Raises:
            AssertionError: It does not, or nothing is proved because the fence refused something.
        """
        outcome = self.run(data)
        if like is None:
            problems = [] if outcome.status == "handled" else [str(outcome)]
            problems += [f"the fence refused {refused}" for refused in outcome.refused]
        else:
            found = self._differences(self.run(like), outcome)
            problems = [said(difference) for difference in (*found.found, *_compare.doubts(found))]
        if problems:
            raise AssertionError("\n  ".join([f"{self.name} does not take this event as it should:", *problems]))
        return outcome

    def replay(self, pairs: str | os.PathLike[str] | Iterable[Any]) -> ConsumerReport:
        """
        Compare recorded events.

        Args:
            pairs: A file that `record` wrote, or pairs of bytes: `Pair`, or (production, sister).

        Raises:
            RecordError: The file is none of ours. A bad line is counted in the report.
            OSError: It cannot be read.
        """
        return replay(self.name, pairs, run=self.run, compare=self._differences)

    def close(self) -> None:
        """Let go the threads that wait for events. May be called twice, and `run` after it."""
        self._crew.close()


_REMEDIES: Final = {
    "decode": "Give a function of bytes.",
    "handle": "Give a function of an event, not one that yields: nothing of it would run.",
    "effects": "Give Effects().",
    "skipped": "Give a function of what handle returns.",
    "compare": "Give a comparator, such as structural().",
    "errors": 'Use "message", "type" or "any".',
}


def _is_async(function: Any) -> bool:
    return any(map(inspect.iscoroutinefunction, (function, type(function).__call__)))


def _yields(function: Any) -> bool:
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def _outcome(check: Check, started: float, status: Status, **more: Any) -> Outcome:
    return Outcome(
        status,
        effects=check.effects,
        refused=check.fence.refused,
        seconds=perf_counter() - started,
        more=check.more,
        **more,
    )
