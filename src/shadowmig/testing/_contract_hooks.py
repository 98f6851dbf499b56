"""What an adapter's author gives to `StoreContract`, and what its tests share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn, TypeVar

import pytest
from attrs import evolve

from shadowmig.errors import StoreError
from shadowmig.model import MISSING, Record, Ref
from shadowmig.protocols import Store

T = TypeVar("T")

PATIENCE: Final = 10.0
"""Seconds within which every single call must end."""

TTL_TOLERANCE: Final = 5.0
"""Seconds by which a time to live may be off."""


class Hooks:
    """The part of `StoreContract` that is yours."""

    password: str = ""
    """A password that the stores were given. By default the tests that look for one in texts are skipped."""

    def make_store(self) -> Store:
        """Make a handle of the place under test: a new one on each call, always of the same place."""
        raise NotImplementedError

    def make_other(self) -> Store:
        """Make a handle of another place of the same kind, that shares no records with the first: again a new one."""
        raise NotImplementedError

    def make_refs(self, count: int) -> Sequence[Ref]:
        """
        Give this many different refs, which lead to no record in either place.

        They may be the same on each call if each test has places of its own. The stores must cover them: what is
        written there must be told as changed, if the store can tell.
        """
        raise NotImplementedError

    def make_value(self, ref: Ref, number: int) -> Any:
        """
        Give a value that may be written to `ref`, exactly as `Store.read` then gives it (a row with its key).

        Values with different numbers must differ. The same arguments must give equal values that share nothing.
        """
        raise NotImplementedError

    def version_of(self, value: Any) -> Any:
        """Optional: tell the version that a record with this value must have. By default versions are not tested."""
        raise NotImplementedError

    def make_hostile(self, ref: Ref, text: str) -> Ref:
        """Optional: give a ref like `ref` whose key has this text in it. By default it is the last part of the key."""
        return evolve(ref, key=(*ref.key[:-1], text))

    def fail(self) -> None:
        """
        Optional: make the place that `make_store` leads to unreachable: stop its server, or the way there.

        Without `fail` and `recover` the test for outages is skipped.
        """
        raise NotImplementedError

    def recover(self) -> None:
        """Optional: make it reachable again at the same address; records may be lost. Called once after `fail`."""
        raise NotImplementedError

    def _lacks(self, *hooks: str) -> bool:
        return any(getattr(type(self), name) is getattr(Hooks, name) for name in hooks)

    def _refs(self, count: int) -> tuple[Ref, ...]:
        refs = tuple(self.make_refs(count))
        assert len({address(ref) for ref in refs}) == count, "make_refs gave too few refs, or the same one twice"
        return refs

    def _records(self, refs: Sequence[Ref], number: int = 0) -> list[Record]:
        return [Record(ref, self.make_value(ref, number + place)) for place, ref in enumerate(refs)]

    def _filled(self, store: Store, count: int) -> tuple[Ref, ...]:
        """Write records with the values 0, 1, 2... and give their refs."""
        refs = self._refs(count)
        store.write(self._records(refs))
        return refs

    def _expect(self, store: Store, refs: Sequence[Ref], numbers: Sequence[int | None], why: str) -> None:
        """Read, and compare with the values of these numbers; ``None`` stands for no record."""
        for record, ref, number in zip(store.read(refs).records, refs, numbers, strict=True):
            wanted = MISSING if number is None else self.make_value(ref, number)
            assert same(record.value, wanted), f"{why}: {ref} holds {record.value!r}, not {wanted!r}"


def address(ref: Ref) -> tuple[str, str, tuple[Any, ...]]:
    """Tell where a ref leads, whatever the store is called."""
    return ref.kind, ref.space, ref.key


def same(got: Any, wanted: Any) -> bool:
    """Whether two values are equal and of one type."""
    return type(got) is type(wanted) and bool(got == wanted)


def lasting(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Give what is compared of that which a store keeps with a value, but for the time to live, which runs."""
    return {name: meta[name] for name in ("type", "flags", "count") if name in meta}


def close_ttl(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Whether the times to live are about the same, or one is not known."""
    if "ttl" not in left or "ttl" not in right:
        return True
    ours, theirs = left["ttl"], right["ttl"]
    if ours is None or theirs is None:
        return ours is theirs
    return bool(abs(ours - theirs) <= TTL_TOLERANCE)


def assert_same_record(got: Record, wanted: Record, why: str) -> None:
    """Compare what two reads gave, but for tokens and addresses."""
    assert same(got.value, wanted.value), f"{why}: value {got.value!r}, not {wanted.value!r}"
    assert got.version == wanted.version, f"{why}: version {got.version!r}, not {wanted.version!r}"
    assert got.raw == wanted.raw, f"{why}: raw {got.raw!r}, not {wanted.raw!r}"
    assert lasting(got.meta) == lasting(wanted.meta), f"{why}: meta {got.meta!r}, not {wanted.meta!r}"
    assert close_ttl(got.meta, wanted.meta), f"{why}: ttl {got.meta['ttl']!r}, not {wanted.meta['ttl']!r}"


def within(call: Callable[[], T], seconds: float = PATIENCE) -> T:
    """Run a call in a thread of its own, give what it gives and raise what it raises, and fail if it takes too long."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the thread that waits
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), f"a call took longer than {seconds:g} seconds"
    if errors:
        raise errors[0]
    return results[0]


def refused(error: type[StoreError], what: str, call: Callable[[], object]) -> StoreError:
    """Make a call, in bounded time, and give the error that it has to raise."""
    try:
        within(call)
    except error as raised:
        return raised
    except Exception as raised:
        raise AssertionError(f"{what} raised {type(raised).__name__}, not {error.__name__}") from raised
    raise AssertionError(f"{what} did not raise {error.__name__}")


def skip(reason: str) -> NoReturn:
    """End the test: the store or the subclass lacks what it needs."""
    pytest.skip(reason)
