"""
What production held at which version, as far as anybody here has seen it or an event has told it.

Each write reads the state before it, which is the state after another write: so a few hot records are known at nearly
every version, though nobody can read the past.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Any, Final

from attrs import define, field

from shadowmig.model import Record, Ref

MOST_RECORDS: Final = 1024
MOST_STATES: Final = 32
"""States kept of one record."""
LARGEST: Final = 64 * 1024
"""Characters or bytes in a record's texts above which it is not kept."""


@define
class _Life:
    """What is known of one record. Once it was seen to be gone, a new one may count its versions anew."""

    gone: bool = False
    read: OrderedDict[Hashable, Record] = field(factory=OrderedDict)
    told: OrderedDict[Hashable, Record] = field(factory=OrderedDict)


class History:
    """States of production's records by version, as they were read and as events told them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lives: OrderedDict[Ref, _Life] = OrderedDict()

    def learn(self, record: Record) -> None:
        """Keep a state of production as it was read, if it has a version and is not large."""
        with self._lock:
            life = self._lives.get(record.ref)
            if not record.exists:
                if life is not None:
                    life.gone = True
            elif isinstance(record.version, Hashable) and record.version is not None and _size(record) <= LARGEST:
                if life is not None and life.gone:
                    del self._lives[record.ref]
                _keep(self._life(record.ref).read, record.version, record)

    def tell(self, record: Record) -> None:
        """Keep the state of a record as an event tells it; `MISSING` for one that is gone."""
        if record.version is None or not isinstance(record.version, Hashable) or _size(record) > LARGEST:
            return
        with self._lock:
            _keep(self._life(record.ref).told, record.version, record)

    def at(self, ref: Ref, version: Any) -> Record | None:
        """Give production's state of a record at a version, as it was read; or ``None``."""
        return self._find(ref, version, "read")

    def told(self, ref: Ref, version: Any) -> Record | None:
        """Give what an event told of a record at a version, or ``None``."""
        return self._find(ref, version, "told")

    def _find(self, ref: Ref, version: Any, how: str) -> Record | None:
        with self._lock:
            life = self._lives.get(ref)
            if life is None or not isinstance(version, Hashable):
                return None
            states: OrderedDict[Hashable, Record] = getattr(life, how)
            return states.get(version)

    def _life(self, ref: Ref) -> _Life:
        life = self._lives.get(ref)
        if life is None:
            life = self._lives[ref] = _Life()
            if len(self._lives) > MOST_RECORDS:
                self._lives.popitem(last=False)
        else:
            self._lives.move_to_end(ref)
        return life


def _keep(states: OrderedDict[Hashable, Record], key: Hashable, record: Record) -> None:
    states[key] = record
    states.move_to_end(key)
    if len(states) > MOST_STATES:
        states.popitem(last=False)


def _size(record: Record) -> int:
    if record.raw is not None:
        return len(record.raw)
    values = record.value.values() if isinstance(record.value, Mapping) else (record.value,)
    return sum(len(value) for value in values if isinstance(value, str | bytes))
