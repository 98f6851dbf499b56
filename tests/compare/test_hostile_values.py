"""Values that lie, hang, explode or change: the answer is a difference or a `CompareError`, and it comes soon."""

from __future__ import annotations

import collections.abc
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from typing import Any, NoReturn

import pytest
from compare_support import nest

from shadowmig.compare import exact, structural
from shadowmig.compare._pace import PAUSE
from shadowmig.errors import CompareError, CompareTimeout

COMPARE = structural(max_seconds=20)


def _paths(control: Any, candidate: Any, **options: Any) -> list[tuple[str, str]]:
    compare = structural(max_seconds=20, **options)
    return [(one.path, one.kind) for one in compare(control=control, candidate=candidate)]


@pytest.mark.parametrize("key", [None, "a"])
def test_deep_values(key: str | None) -> None:
    """A difference 100 000 levels down is found and its path printed."""
    [one] = COMPARE(control=nest(100_000, 1, key), candidate=nest(100_000, 2, key))
    assert one.path == "$" + ("[0]" if key is None else ".a") * 100_000
    assert not COMPARE(control=nest(100_000, 1, key), candidate=nest(100_000, 1, key))


def test_deep_values_with_rules() -> None:
    """Depth is no trouble for multisets, ignore rules and zero values either."""
    a, b = nest(8_000, 1), nest(8_000, 2)
    assert _paths(a, b, unordered=True) == [("$", "changed")]
    assert not _paths(a, nest(8_000, 1), unordered=True)
    assert not _paths(a, b, ignore=["$..*"])
    assert not _paths({"x": nest(8_000, 0, "a")}, {}, missing_is_zero=True)


def test_rules_nested_too_deeply_for_a_matching() -> None:
    """Where only comparing pairs can decide and that nests without end, the comparison says that it failed."""
    with pytest.raises(CompareError):
        structural(unordered=True, tolerance=0.1)(control=nest(3_000, 1.0), candidate=nest(3_000, 1.01))


def test_long_lists() -> None:
    """100 000 elements in another order are one difference, or none where order does not matter."""
    forward, backward = list(range(100_000)), list(range(100_000))[::-1]
    assert _paths(forward, backward) == [("$", "order")]
    assert not _paths(forward, backward, unordered=["$"])
    assert not _paths(forward, forward[:])
    assert _paths(dict.fromkeys(forward, 1), {**dict.fromkeys(backward, 1), 5: 2}) == [("$[5]", "changed")]


def test_wide_dicts() -> None:
    """Wide dicts are read in chunks and compared all the same."""
    a, b = ({str(i): i for i in range(5_000)} for _ in range(2))
    assert not _paths({"x": a, "y": 1}, {"x": b, "y": 1})
    assert not _paths([a] * 3, [b] * 3)
    del b["7"]
    b["new"] = 1
    b["9"] = -9
    assert _paths(a, b) == [("$['9']", "changed"), ("$['7']", "missing"), ("$.new", "unexpected")]


def test_many_differences_are_cut() -> None:
    """More differences than the limit are cut, and the result says so."""
    found = structural(max_differences=7)(control=[*range(1_000)], candidate=[n + 0.5 for n in range(1_000)])
    assert (len(found), found.truncated) == (7, True)
    endless = structural(max_seconds=20)(control=[*range(260_000)], candidate=[n + 0.5 for n in range(260_000)])
    assert endless.truncated


def _dag(depth: int, leaf: Any) -> Any:
    value = [leaf]
    for _ in range(depth):
        value = [value, value]
    return value


def test_shared_subtrees() -> None:
    """Subtrees shared exponentially often are not walked exponentially often."""
    assert not COMPARE(control=_dag(100, 1), candidate=_dag(100, 1))
    assert COMPARE(control=_dag(100, 1), candidate=_dag(100, 2))
    assert not _paths(_dag(60, 1), _dag(60, 1), unordered=True)
    assert _paths(_dag(60, 1), _dag(60, 2), unordered=True) == [("$", "changed")]


def test_cycles() -> None:
    """Values that contain themselves are equal if nothing on the way differs."""
    a: list[Any] = []
    a.append(a)
    b: list[Any] = []
    b.append(b)
    c: list[Any] = [[]]
    c[0].append(c)
    assert not COMPARE(control=a, candidate=b)
    assert not COMPARE(control=a, candidate=c)
    assert _paths(a, [[[]]]) == [("$[0][0]", "changed")]
    assert not _paths(a, b, unordered=True)
    assert not _paths([a, 1], [1, c], unordered=True)
    d: dict[str, Any] = {"x": 0}
    d["self"] = d
    assert not _paths({"k": d}, {}, ignore=["$.k"])
    assert _paths({"k": d}, {"k": {"x": 0, "self": 1}}) == [("$.k.self", "type")]
    assert not _paths({"k": d}, {}, missing_is_zero=True)


class Answer:
    """Its ``__eq__`` does as told."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    __hash__ = None  # type: ignore[assignment]  # cannot be a key

    def __eq__(self, other: object) -> Any:
        return self.answer() if callable(self.answer) else self.answer


def _raise() -> NoReturn:
    raise ValueError


@pytest.mark.parametrize("answer", [1, None, "yes", _raise, False, NotImplemented])
def test_eq_that_lies(answer: Any) -> None:
    """An ``__eq__`` that raises or answers anything but ``True`` means different."""
    assert _paths([Answer(answer)], [Answer(answer)]) == [("$[0]", "changed")]
    assert exact(control=Answer(answer), candidate=Answer(answer))


def test_eq_that_says_yes() -> None:
    """An ``__eq__`` is believed between objects of one class and never across classes."""
    assert not _paths([Answer(True)], [Answer(True)])
    assert _paths([Answer(True)], [1]) == [("$[0]", "type")]
    assert _paths([1], [Answer(True)]) == [("$[0]", "type")]


def test_eq_that_is_slow() -> None:
    """Time in foreign code counts by the clock on the wall."""
    slow = [Answer(lambda: time.sleep(0.02) or True) for _ in range(200)]
    with pytest.raises(CompareTimeout, match="foreign"):
        structural(max_seconds=0.1)(control=slow, candidate=slow[::-1])


class Liar(dict[str, Any]):
    """A dict whose every method is hostile."""

    def _no(self, *args: Any) -> NoReturn:
        raise RuntimeError

    items = keys = values = get = __iter__ = __getitem__ = __contains__ = _no  # type: ignore[assignment]  # hostile on purpose

    def __len__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]  # hostile on purpose

    @property
    def __class__(self) -> type:  # type: ignore[override]  # a lie on purpose
        return int


def test_dict_that_lies() -> None:
    """Dict subclasses are read past their own methods."""
    assert _paths(Liar(a=1), Liar(a=2)) == [("$.a", "changed")]


class Wild:
    """Properties, ``__getattr__`` and ``__repr__`` that must not run."""

    def __init__(self, x: Any) -> None:
        self.x = x

    @property
    def y(self) -> NoReturn:
        raise SystemExit

    def __getattr__(self, name: str) -> NoReturn:
        raise SystemExit

    def __repr__(self) -> NoReturn:
        raise ValueError


def test_objects_are_not_run() -> None:
    """Objects are compared by what they store; nothing of theirs runs."""
    assert _paths([Wild(1)], [Wild(2)]) == [("$[0].x", "changed")]
    assert not _paths([Wild(1)], [Wild(1)])


class Meta(type):
    """A metaclass that resists."""

    def __hash__(cls) -> NoReturn:
        raise TypeError

    def __eq__(cls, other: object) -> NoReturn:
        raise TypeError

    def __instancecheck__(cls, instance: Any) -> NoReturn:
        raise TypeError


class Resisting(metaclass=Meta):
    pass


def test_metaclass_that_resists() -> None:
    """A type that cannot be classified is compared by identity."""
    one = Resisting()
    assert _paths([one], [Resisting()]) == [("$[0]", "changed")]
    assert not _paths([one], [one])


class Endless(collections.abc.Mapping[int, int]):
    """A mapping without end."""

    def __getitem__(self, key: int) -> int:
        return 1

    def __len__(self) -> int:
        return 10

    def __iter__(self) -> Iterator[int]:
        number = 0
        while True:
            number += 1
            yield number


class Broken(Endless):
    def __getitem__(self, key: int) -> int:
        raise KeyError(key)


def test_mapping_that_does_not_end() -> None:
    """Reading a foreign mapping is bounded, and one that raises is not comparable."""
    with pytest.raises(CompareTimeout):
        structural(max_nodes=10_000)(control=Endless(), candidate=Endless())
    with pytest.raises(CompareError, match="Broken"):
        COMPARE(control=Broken(), candidate=Broken())
    with pytest.raises(CompareError, match="Broken"):
        structural(ignore=["$.x"], relations=["$.x.a == $.b"])(control={"x": Broken()}, candidate={"b": 1})


class HostileKey:
    """Hashable, but not comparable or printable."""

    def __init__(self, equal: Any = _raise) -> None:
        self.equal = equal

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> Any:
        return self.equal()

    def __repr__(self) -> NoReturn:
        raise ValueError


def _yes() -> bool:
    return True


def test_keys_that_are_hostile() -> None:
    """Keys are paired by a guarded ``==`` and printed whatever happens."""
    assert _paths({HostileKey(): 1}, {HostileKey(): 1}) == [
        ("$[<HostileKey>]", "missing"),
        ("$[<HostileKey>]", "unexpected"),
    ]
    assert _paths({HostileKey(_yes): 1}, {HostileKey(_yes): 2}) == [("$[<HostileKey>]", "changed")]


class NoZone(tzinfo):
    """A zone that cannot tell its offset."""

    def utcoffset(self, at: datetime | None) -> timedelta:
        raise ValueError

    def dst(self, at: datetime | None) -> None:
        return None

    def tzname(self, at: datetime | None) -> str:
        return "?"


def test_zone_that_raises() -> None:
    """A datetime whose zone raises differs from every other, in multisets too."""
    a, b = (datetime(2026, 1, 1, tzinfo=NoZone()) for _ in range(2))
    assert _paths([a], [b]) == [("$[0]", "changed")]
    assert _paths([a, 1], [1, b], unordered=["$"]) == [("$", "changed")]
    assert not _paths([a, 1], [1, a], unordered=["$"])


def test_released_buffer() -> None:
    """A buffer that can no longer be read is different."""
    view = memoryview(b"a")
    view.release()
    assert _paths([view], [memoryview(b"a")]) == [("$[0]", "changed")]


def test_values_that_change() -> None:
    """A container that changes while it is read makes the comparison fail, not lie."""
    control: dict[str, Any] = {str(n): n for n in range(5)}

    def grow() -> bool:
        control[f"new {len(control)}"] = 1
        return True

    control["m"] = Answer(grow)
    with pytest.raises(CompareError, match="changed"):
        COMPARE(control=control, candidate={**control, "m": Answer(grow)})
    items: list[Any] = [Answer(lambda: items.append(1) or True), 2.5]
    with pytest.raises(CompareError, match="changed"):
        COMPARE(control=items, candidate=[Answer(True), 2.5])


def test_node_limit() -> None:
    """The limit of nodes holds on equal and on unequal values."""
    compare = structural(max_nodes=5_000)
    for leaf in (1, 2):
        with pytest.raises(CompareTimeout, match="5000"):
            compare(control=[[n] for n in range(9_000)], candidate=[[n] for n in range(8_999)] + [[leaf]])


def test_time_limit_is_of_this_thread() -> None:
    """CPU time of other threads and time in a pause are not counted."""
    pauses: list[int] = []

    def pause() -> None:
        pauses.append(1)
        if len(pauses) < 4:
            time.sleep(0.05)

    token = PAUSE.set(pause)
    try:
        tree = [[n, {"a": n}] for n in range(3_000)]
        assert not structural(max_seconds=0.15)(control=tree, candidate=[[n, {"a": n}] for n in range(3_000)])
    finally:
        PAUSE.reset(token)
    assert len(pauses) > 20


def test_one_comparator_in_many_threads() -> None:
    """A comparator may be used by several threads at once."""
    compare = structural(ignore=["$.a"], unordered={"$.c": "id"})
    pair = {
        "control": {"a": 1, "c": [{"id": n} for n in range(50)]},
        "candidate": {"a": 2, "c": [{"id": n} for n in reversed(range(50))]},
    }

    def run() -> None:
        for _ in range(50):
            assert len(compare(**pair).ignored) == 1

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [use.used for use in compare.rules()] == [200, 200]


def test_exact_on_deep_values() -> None:
    """`exact` cannot compare what ``==`` cannot, and says so."""
    with pytest.raises(CompareError):
        exact(control=nest(100_000, 1), candidate=nest(100_000, 1))
