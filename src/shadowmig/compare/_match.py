"""
Lists whose order does not matter: multisets, and lists whose elements are aligned by a field.

A multiset is equal or not as a whole: one difference at the list. Aligned elements are compared one by one, and one
that has no partner is reported by its key. Where rules are no equivalence (a tolerance), a perfect matching is sought
with augmenting paths, so that the order in which elements come never decides.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shadowmig.compare._family import MAP, OBJECT, family
from shadowmig.compare._scalars import strict_key
from shadowmig.compare._states import STRICT, State
from shadowmig.compare.paths import Field, Keyed
from shadowmig.model import MISSING

if TYPE_CHECKING:
    from shadowmig.compare._nodes import Node
    from shadowmig.compare._settle import Settler

Pair = tuple[int, int]


def compare_multisets(
    walk: Settler, a: Any, b: Any, both: tuple[Any, Any], key: Any, parent: Node | None, at: State
) -> None:
    """Compare two lists as multisets."""
    _compare(walk, a, b, both, key, parent, at, at.sources.get("unordered"))


def compare_sets(
    walk: Settler, a: Any, b: Any, both: tuple[Any, Any], key: Any, parent: Node | None, at: State
) -> None:
    """Compare two sets."""
    _compare(walk, a, b, both, key, parent, at, None)


def _compare(
    walk: Settler, a: Any, b: Any, both: tuple[Any, Any], key: Any, parent: Node | None, at: State, use: int | None
) -> None:
    at.expand()
    met = (id(both[0]), id(both[1]), id(at))
    if met in walk.matching:
        return  # inside itself: equal if the rest is
    walk.matching.add(met)
    node: Node = (a, b, key, parent, at)
    pairs = match(walk, a, b, [*range(len(a))], [*range(len(b))], node, at.other) if len(a) == len(b) else None
    walk.matching.discard(met)
    if pairs is None:
        walk.record(parent, key, "changed", *both, at)
        return
    for inner in pairs.outcomes:
        walk.ignored.extend(inner.ignored)
        walk.used.extend(inner.used)
    if use is not None and pairs.moved:
        walk.used.append(use)


class Pairs:
    """
    A perfect matching.

    Attributes:
        moved: Whether an element has another place.
        outcomes: The comparisons of pairs that were not certainly equal.
    """

    def __init__(self) -> None:
        self.moved = False
        self.outcomes: list[Settler] = []


def match(
    walk: Settler, a: Any, b: Any, left: list[int], right: list[int], node: Node, only: State | None
) -> Pairs | None:
    """
    Pair elements that are equal under the rules, all of them, or return ``None``.

    ``left`` and ``right`` are as many indexes into ``a`` and ``b``; ``only`` is the state of every element, or
    ``None`` if each has that of its index.
    """
    tokens = walk.tokens
    at, length = node[4], len(a)
    groups: dict[int, tuple[list[int], list[int]]] = {}
    for side, values, indexes in ((0, a, left), (1, b, right)):
        for i in walk.pace.through(indexes):
            groups.setdefault(tokens.of(values[i], only or at.item(i, length)), ([], []))[side].append(i)
    if tokens.cyclic:
        # Where values contain themselves tokens say nothing; compare each with each.
        groups = {-1: (left, right)}
    elif any(len(mine) != len(theirs) for mine, theirs in groups.values()):
        return None
    pairs = Pairs()
    for token, (mine, theirs) in groups.items():
        pairs.moved = pairs.moved or mine != theirs
        if token >= 0 and tokens.exact(token):
            continue
        outcomes = _Matching(walk, a, b, node, only).perfect(mine, theirs)
        if outcomes is None:
            return None
        pairs.outcomes.extend(outcomes)
    return pairs


class _Matching:
    """Kuhn's algorithm on one group of elements that may be equal; pairs are compared when asked for, once."""

    def __init__(self, walk: Settler, a: Any, b: Any, node: Node, only: State | None) -> None:
        self.walk, self.a, self.b, self.node, self.only = walk, a, b, node, only
        self.known: dict[Pair, Settler | None] = {}
        self.partner: dict[int, int] = {}

    def equal(self, i: int, j: int) -> bool:
        pair = (i, j)
        if pair not in self.known:
            self.walk.pace.tick(1)
            inner = type(self.walk)(self.walk.pace, self.walk.tokens, stop=True)
            inner.matching = self.walk.matching
            inner.run(self.a[i], self.b[j], self.only or self.node[4].item(i, len(self.a)), i, self.node)
            self.known[pair] = None if inner.found or inner.truncated else inner
        return self.known[pair] is not None

    def perfect(self, mine: list[int], theirs: list[int]) -> list[Settler] | None:
        mine, theirs = self._sorted(self.a, mine), self._sorted(self.b, theirs)
        taken: dict[int, int] = {}
        # The same place first: most lists are in order, and sorted numbers within a tolerance are.
        rest = []
        for i, j in zip(mine, theirs, strict=True):
            if self.equal(i, j):
                taken[j] = i
            else:
                rest.append(i)
        for i in rest:
            if not self._augment(i, theirs, taken):
                return None
        return [inner for j, i in taken.items() if (inner := self.known[i, j]) is not None]

    def _sorted(self, values: Any, indexes: list[int]) -> list[int]:
        if all(type(values[i]) is float or type(values[i]) is int for i in indexes):
            return sorted(indexes, key=lambda i: (values[i] != values[i], values[i]))
        return indexes

    def _augment(self, start: int, theirs: list[int], taken: dict[int, int]) -> bool:
        """Give an element a partner, moving others on if need be: a breadth-first alternating path."""
        came: dict[int, int] = {}
        queue = deque([start])
        while queue:
            i = queue.popleft()
            for j in theirs:
                if j in came or not self.equal(i, j):
                    continue
                came[j] = i
                if j not in taken:
                    self._flip(j, start, came, taken)
                    return True
                queue.append(taken[j])
        return False

    @staticmethod
    def _flip(j: int, start: int, came: dict[int, int], taken: dict[int, int]) -> None:
        holds = {i: k for k, i in taken.items()}
        while True:
            i = came[j]
            previous = holds.get(i)
            taken[j] = i
            if i == start or previous is None:
                return
            j = previous


def compare_keyed(
    walk: Settler, a: Any, b: Any, both: tuple[Any, Any], key: Any, parent: Node | None, at: State
) -> None:
    """Align the elements of two lists by a field and compare them; duplicates in the order they come."""
    at.expand()
    node: Node = (a, b, key, parent, at)
    name = at.unordered
    theirs: dict[Any, deque[int]] = {}
    for j, one in enumerate(walk.pace.through(b)):
        theirs.setdefault(_key_token(walk, one, name, at), deque()).append(j)
    moved = False
    count: dict[Any, int] = {}
    for i, one in enumerate(walk.pace.through(a)):
        token = _key_token(walk, one, name, at)
        count[token] = count.get(token, 0) + 1
        below, label = _element(walk, one, name, i, len(a), at)
        if places := theirs.get(token):
            j = places.popleft()
            moved = moved or i != j
            if one is not b[j] or not below.inline:
                walk.settle(one, b[j], label, node, below)
        else:
            walk.record(node, label, "missing", one, MISSING, below, _occurrence(count[token]))
    if moved:
        walk.used.append(at.sources["unordered"])
    left = sorted((j, token) for token, places in theirs.items() for j in places)
    for j, token in left:
        count[token] = count.get(token, 0) + 1
        below, label = _element(walk, b[j], name, j, len(b), at)
        walk.record(node, label, "unexpected", MISSING, b[j], below, _occurrence(count[token]))


def _occurrence(count: int) -> str:
    return f"occurrence {count} of this key" if count > 1 else ""


def _element(walk: Settler, one: Any, name: str, index: int, length: int, at: State) -> tuple[State, Any]:
    below = at.element(index, length, named(walk, one, one))
    value = field_of(walk, one, name)
    return below, index if value is MISSING else Keyed(name, value)


def _key_token(walk: Settler, one: Any, name: str, at: State) -> int:
    value = field_of(walk, one, name)
    if value is MISSING:
        return -1
    # The rules of the key's own place hold, so that 1 and "1" meet where numeric_strings says so.
    below = at.other
    for part in (name,) if _has(walk, one, name) else name.split("."):
        below = below.key(part)
    token = walk.tokens.of(value, below)
    return token if walk.tokens.exact(token) else walk.tokens.of(value, STRICT.root())


def _has(walk: Settler, one: Any, name: str) -> bool:
    content = _content(walk, one)
    return content is not None and name in content


def field_of(walk: Settler, one: Any, name: str) -> Any:
    """The value of an element's field, ``a.b`` meaning field ``b`` of field ``a``; `MISSING` if it has none."""
    content = _content(walk, one)
    if content is None:
        return MISSING
    if name in content or "." not in name:
        return content.get(name, MISSING)
    first, _, rest = name.partition(".")
    return field_of(walk, content[first], rest) if first in content else MISSING


def _content(walk: Settler, one: Any) -> dict[Any, Any] | None:
    of = family(type(one))
    if of.group not in (MAP, OBJECT):
        return None
    found: dict[Any, Any] = walk.content(one, of)
    return found


def named(walk: Settler, x: Any, y: Any) -> Callable[[Field], bool]:
    """Tells whether an element, on either side, is the one a rule names by a field's value."""

    def matches(rule: Field) -> bool:
        for value in (field_of(walk, x, rule.name), field_of(walk, y, rule.name)):
            kind = type(value)
            if kind is type(rule.value):
                base = family(kind).base
                if strict_key(value, kind, base) == strict_key(rule.value, kind, base):
                    return True
        return False

    return matches
