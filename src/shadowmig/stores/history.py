"""
What production held at which version, as far as anybody here has seen it or an event has told it.

Each write reads the state before it, which is the state after another write: so a few hot records are known at nearly
every version, though nobody can read the past.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Any, Final

from attrs import define, field, frozen

from shadowmig.model import Record, Ref
from shadowmig.stores.races import same

MOST_RECORDS: Final = 1024
MOST_STATES: Final = 32
"""States kept of one record."""
LARGEST: Final = 64 * 1024
"""Characters or bytes in a record's texts above which it is not kept."""


@frozen
class _State:
    """
    One state of a record.

    Attributes:
        when: When it was so at the latest, in monotonic seconds.
        record: The state.
        base: What the write that told of it had found.
    """

    when: float
    record: Record
    base: Record | None = None


_States = OrderedDict[Hashable, _State]
"""By version."""


@define
class _Life:
    """What is known of one record. Once it was seen to be gone, a new one may count its versions anew."""

    gone: bool = False
    read: _States = field(factory=OrderedDict)
    told: _States = field(factory=OrderedDict)


class History:
    """States of production's records by version, as they were read and as events told them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lives: OrderedDict[Ref, _Life] = OrderedDict()

    def learn(self, record: Record, *, when: float = math.inf) -> None:
        """
        Keep a state of production as it was read, if it has a version and is not large.

        Args:
            record: What was read.
            when: When the read began.
        """
        with self._lock:
            if not record.exists:
                self._end(record.ref)
            elif _keepable(record):
                _keep(self._life(record.ref).read, record.version, _State(when, record))

    def tell(self, record: Record, *, when: float = math.inf, base: Record | None = None) -> None:
        """
        Keep the state of a record as an event tells it; `MISSING` for one that is gone.

        Args:
            record: What is told.
            when: When the write of the event was over, though its transaction may have been open for longer.
            base: What that write had found.
        """
        with self._lock:
            if not record.exists:
                self._end(record.ref)
            if not _keepable(record):
                return
            life = self._life(record.ref) if record.exists else self._lives.get(record.ref)
            if life is not None:
                _keep(life.told, record.version, _State(when, record, base))

    def at(self, ref: Ref, version: Any, *, since: float = -math.inf) -> Record | None:
        """
        Give production's state of a record at a version, as it was read; or ``None``.

        Args:
            ref: The record.
            version: The version.
            since: A time before which nobody can have seen it: an older state is that of an earlier record.
        """
        return self._find(ref, version, "read", since, None)

    def told(self, ref: Ref, version: Any, *, since: float = -math.inf, base: Record | None = None) -> Record | None:
        """
        Give what an event told of a record at a version, or ``None``; see `at`.

        Args:
            ref: The record.
            version: The version.
            since: As for `at`.
            base: What was found at that time. A write that found the very same is later, whenever it was over.
        """
        return self._find(ref, version, "told", since, base)

    def _find(self, ref: Ref, version: Any, how: str, since: float, base: Record | None) -> Record | None:
        with self._lock:
            life = self._lives.get(ref)
            if life is None or not isinstance(version, Hashable):
                return None
            states: _States = getattr(life, how)
            state = states.get(version)
            if state is None:
                return None
            follows = base is not None and state.base is not None and same(base, state.base)
            return state.record if follows or state.when >= since else None

    def _end(self, ref: Ref) -> None:
        life = self._lives.get(ref)
        if life is not None:
            life.gone = True

    def _life(self, ref: Ref) -> _Life:
        life = self._lives.get(ref)
        if life is None or life.gone:
            life = self._lives[ref] = _Life()
            if len(self._lives) > MOST_RECORDS:
                self._lives.popitem(last=False)
        else:
            self._lives.move_to_end(ref)
        return life


def _keepable(record: Record) -> bool:
    return record.version is not None and isinstance(record.version, Hashable) and _size(record) <= LARGEST


def _keep(states: _States, key: Hashable, state: _State) -> None:
    states[key] = state
    states.move_to_end(key)
    if len(states) > MOST_STATES:
        states.popitem(last=False)


def _size(record: Record) -> int:
    if record.raw is not None:
        return len(record.raw)
    values = record.value.values() if isinstance(record.value, Mapping) else (record.value,)
    return sum(len(value) for value in values if isinstance(value, str | bytes))
