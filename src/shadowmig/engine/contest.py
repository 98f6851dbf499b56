"""
Which sampled writes say that they gave a record one and the same version.

Only one of them can have been committed. A transaction that spans a whole request may be rolled back long after the
handler has returned, and be tried again at once: then production is at the version of the first try, with what the
second one wrote.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Final

from shadowmig.model import Record, Ref

MOST_VERSIONS: Final = 10_000
"""Versions of records of which is remembered who said to have made them."""


class Contest:
    """Who made which version of which record, as far as the writes themselves tell. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler, or a finalizer, may call a handler in the middle of this
        self._claimed: OrderedDict[tuple[Ref, Any], dict[Hashable, bool]] = OrderedDict()

    def guess(self, who: Hashable, base: Iterable[Record]) -> None:
        """
        Note what a write may have made, as long as nothing else is known: the version after the one it found.

        Args:
            who: The write.
            base: What it found.
        """
        with self._lock:
            for record in base:
                if type(record.version) is int:
                    self._note(who, record.ref, record.version + 1, sure=False)

    def note(self, who: Hashable, base: Mapping[Ref, Record], versions: Mapping[Ref, Any]) -> None:
        """
        Note what a write made.

        Args:
            who: The write.
            base: What it found.
            versions: What it told; of the other records it is taken to be the version after the one it found.
        """
        with self._lock:
            for ref in {**base, **versions}:
                found, told = base.get(ref), versions.get(ref)
                follows = found.version + 1 if found is not None and type(found.version) is int else None
                guessed = self._claimed.get((ref, follows))
                if guessed is not None and not guessed.get(who, True):
                    del guessed[who]
                made = follows if told is None else told
                if made is not None and isinstance(made, Hashable):
                    self._note(who, ref, made, sure=True)

    def others(self, who: Hashable, ref: Ref, version: Any) -> bool | None:
        """
        Whether another write says that it made this version of a record.

        Returns:
            ``None`` if that is not known yet.
        """
        if not isinstance(version, Hashable):
            return False
        with self._lock:
            others = [sure for other, sure in self._claimed.get((ref, version), {}).items() if other != who]
        return any(others) if all(others) or any(others) else None

    def _note(self, who: Hashable, ref: Ref, version: Any, *, sure: bool) -> None:
        self._claimed.setdefault((ref, version), {})[who] = sure
        if len(self._claimed) > MOST_VERSIONS:
            self._claimed.popitem(last=False)
