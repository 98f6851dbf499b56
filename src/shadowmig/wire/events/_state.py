"""
What several verifier processes share: who has which partition, and how far each partition has come.

A partition is held by a lease with a token. All that came of a partition is committed in one step that checks the
token, so a process that lost its lease without knowing changes nothing any more.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from attrs import Factory, define, frozen

FORMAT: Final = 1
"""Of what is kept; another one is not read."""


@frozen
class Commit:
    """
    What came of one partition.

    Attributes:
        partition: Its number.
        token: Of the lease under which it came.
        checkpoint: How far it has come; JSON.
        put: Events that wait now, by a name for each; JSON.
        remove: Names of events that wait no more.
        after: The mark of the checkpoint that this one goes on from, as `mark_of` gives it; empty if it is the first.
    """

    partition: int
    token: str
    checkpoint: str
    put: Mapping[str, str] = Factory(dict)
    remove: Sequence[str] = ()
    after: str = ""


@frozen
class Held:
    """
    The leases of one process.

    Attributes:
        tokens: By partition.
        share: How many partitions it should hold, given how many processes there are.
    """

    tokens: Mapping[int, str]
    share: int


class State(Protocol):
    """
    Where verifier processes meet. Used by several threads and processes.

    Every method raises `StoreUnavailable` if the server cannot be reached, and `StoreError` if it refuses.
    """

    def __repr__(self) -> str: ...

    def identity(self) -> str:
        """Tell which database this is; empty if it is none."""
        ...

    def begin(self, proposal: str | None) -> str | None:
        """Give what was kept first under this name; keep the proposal, if there is one, where nothing was."""
        ...

    def tend(self, member: str, claims: Mapping[int, str]) -> Held:
        """
        Renew the leases of a process, and take free ones up to its share.

        Args:
            member: Names the process.
            claims: The partitions that it holds by its own knowledge. Others that it has the lease of get a new token.
        """
        ...

    def load(self, partition: int) -> tuple[str | None, dict[str, str]]:
        """Give the checkpoint of a partition and the events that wait in it."""
        ...

    def commit(self, commits: Sequence[Commit], faults: Sequence[str]) -> bool:
        """
        Keep what came, and append faults to their list; all of it, or nothing.

        Nothing is kept if a token is not that of its lease, or if a checkpoint that is there is another than the one to
        go on from: a server that was set back, as by a replica that took over too early, has lost what came with that.

        Returns:
            Whether it was kept.
        """
        ...

    def release(self, partition: int, token: str) -> None:
        """Give a lease back, if it is still the one of this token."""
        ...

    def leave(self, member: str) -> None:
        """Tell that a process is going."""
        ...

    def overview(self) -> list[str | None]:
        """Give the checkpoints of all partitions."""
        ...

    def faults(self, after: str, count: int) -> list[tuple[str, str]]:
        """Give faults in the order in which they were committed, each with its cursor."""
        ...

    def close(self) -> None:
        """Close the connections. A later call opens new ones."""
        ...


@define
class _Lease:
    holder: str
    token: str
    end: float


class MemoryState:
    """
    State that one process keeps: for tests, and for streams in memory.

    Args:
        partitions: How many there are.
        lease: Seconds.
        most_faults: Faults that are kept; the oldest are dropped.
        clock: Gives seconds, for the leases.
    """

    def __init__(
        self,
        partitions: int = 8,
        *,
        lease: float = 10.0,
        most_faults: int = 100_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._partitions = partitions
        self._life = lease
        self._most = most_faults
        self._clock = clock
        self._lock = threading.Lock()
        self._begun: str | None = None
        self._members: dict[str, float] = {}
        self._leases: dict[int, _Lease] = {}
        self._checkpoints: dict[int, str] = {}
        self._waiting: dict[int, dict[str, str]] = {}
        self._faults: list[str] = []
        self._dropped = 0

    def __repr__(self) -> str:
        return "<MemoryState>"

    def identity(self) -> str:
        """Tell that this is no database."""
        return ""

    def begin(self, proposal: str | None) -> str | None:
        """Do what `State.begin` says."""
        with self._lock:
            if self._begun is None:
                self._begun = proposal
            return self._begun

    def tend(self, member: str, claims: Mapping[int, str]) -> Held:
        """Do what `State.tend` says."""
        with self._lock:
            now = self._clock()
            self._members[member] = now
            self._members = {each: seen for each, seen in self._members.items() if seen > now - self._life}
            share = -(-self._partitions // len(self._members))
            mine: dict[int, str] = {}
            for partition in range(self._partitions):
                lease = self._leases.get(partition)
                if lease is None or lease.end <= now or lease.holder != member:
                    continue
                if claims.get(partition) != lease.token:
                    lease.token = _token(member)
                lease.end = now + self._life
                mine[partition] = lease.token
            for partition in range(self._partitions):
                lease = self._leases.get(partition)
                if len(mine) < share and (lease is None or lease.end <= now):
                    lease = self._leases[partition] = _Lease(member, _token(member), now + self._life)
                    mine[partition] = lease.token
            return Held(mine, share)

    def load(self, partition: int) -> tuple[str | None, dict[str, str]]:
        """Do what `State.load` says."""
        with self._lock:
            return self._checkpoints.get(partition), copy.copy(self._waiting.get(partition, {}))

    def commit(self, commits: Sequence[Commit], faults: Sequence[str]) -> bool:
        """Do what `State.commit` says."""
        with self._lock:
            if not all(self._held(commit) for commit in commits):
                return False
            for commit in commits:
                self._checkpoints[commit.partition] = commit.checkpoint
                waiting = self._waiting.setdefault(commit.partition, {})
                waiting.update(commit.put)
                for name in commit.remove:
                    waiting.pop(name, None)
            self._faults += faults
            gone = max(0, len(self._faults) - self._most)
            self._dropped += gone
            del self._faults[:gone]
            return True

    def _held(self, commit: Commit) -> bool:
        lease = self._leases.get(commit.partition)
        kept = self._checkpoints.get(commit.partition)
        held = lease is not None and lease.token == commit.token and lease.end > self._clock()
        return held and commit.after == ("" if kept is None else mark_of(kept))

    def release(self, partition: int, token: str) -> None:
        """Do what `State.release` says."""
        with self._lock:
            lease = self._leases.get(partition)
            if lease is not None and lease.token == token:
                del self._leases[partition]

    def leave(self, member: str) -> None:
        """Do what `State.leave` says."""
        with self._lock:
            self._members.pop(member, None)

    def overview(self) -> list[str | None]:
        """Do what `State.overview` says."""
        with self._lock:
            return [self._checkpoints.get(partition) for partition in range(self._partitions)]

    def faults(self, after: str, count: int) -> list[tuple[str, str]]:
        """Do what `State.faults` says."""
        with self._lock:
            begin = max(0, int(after or 0) - self._dropped)
            found = self._faults[begin : begin + count]
            first = self._dropped + begin + 1
            return [(str(first + index), fault) for index, fault in enumerate(found)]

    def close(self) -> None:
        """Do nothing: there is no connection."""


_TOKENS: Final = itertools.count(1)


def _token(member: str) -> str:
    return f"{member}:{next(_TOKENS)}"


def mark_of(checkpoint: str) -> str:
    """Give what tells a checkpoint from others."""
    return hashlib.sha1(checkpoint.encode(), usedforsecurity=False).hexdigest()


dumps: Final = json.JSONEncoder(separators=(",", ":")).encode
"""Writes JSON in ASCII, so that every text there is has a form."""
