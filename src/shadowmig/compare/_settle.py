"""
How one pair of values is compared, whatever the two are.

Single values are decided at once; containers of one kind become a node that the walk comes to later. What runs code
of the values (``__eq__``, foreign mappings) is guarded and timed here.
"""

from __future__ import annotations

from typing import Any

from shadowmig.compare import _match
from shadowmig.compare._family import FOREIGN, MAP, OBJECT, SEQ, SET, Family, family, state
from shadowmig.compare._maps import is_empty, keys_in_other_order
from shadowmig.compare._nodes import Enough, Node, Raw, path_of
from shadowmig.compare._pace import Pace
from shadowmig.compare._prepare import holds, prepare
from shadowmig.compare._same import same
from shadowmig.compare._scalars import alike, is_scalar, strict_key
from shadowmig.compare._scalars import key as scalar_key
from shadowmig.compare._states import UNSET, State
from shadowmig.compare._tokens import Tokens
from shadowmig.errors import CompareError, CompareTimeout
from shadowmig.model import Kind

RAW_LIMIT = 250_000
"""Differences after which the walk ends; far more than anybody reads, few enough to keep."""


class Settler:
    """
    The state of one comparison, and what is done with one pair.

    Attributes:
        found: Differences that count.
        ignored: Those that a rule ignores.
        used: Index of a rule for each difference it absorbed otherwise.
        origin: The values a node was read from, where they are not the node's own, by ``id`` of the node.
        matching: Multisets that are being matched, so that one inside itself is not entered again.
        truncated: Whether the walk ended at its limit.
    """

    __slots__ = (
        "_seen",
        "_tokens",
        "found",
        "ignored",
        "matching",
        "nodes",
        "origin",
        "pace",
        "stop",
        "truncated",
        "used",
    )

    def __init__(self, pace: Pace, tokens: Tokens | None = None, *, stop: bool = False) -> None:
        self.pace = pace
        self._tokens = tokens
        self.matching: set[tuple[int, int, int]] = set()
        self.stop = stop
        self.nodes: list[Node] = []
        self.found: list[Raw] = []
        self.ignored: list[Raw] = []
        self.used: list[int] = []
        self.origin: dict[int, tuple[Any, Any]] = {}
        self._seen: set[tuple[int, int, int]] = set()
        self.truncated = False

    @property
    def tokens(self) -> Tokens:
        """Numbers for whole values, made when first needed."""
        if self._tokens is None:
            self._tokens = Tokens(self.pace)
        return self._tokens

    def run(self, control: Any, candidate: Any, at: State, key: Any = None, parent: Node | None = None) -> None:
        """Compare two values and all below; what a walk adds to this class."""
        raise NotImplementedError

    def _met(self, a: Any, b: Any, at: State) -> bool:
        pair = (id(a), id(b), id(at))
        if pair in self._seen:
            return True
        self._seen.add(pair)
        return False

    def settle(self, x: Any, y: Any, key: Any, parent: Node | None, at: State) -> None:
        """Compare one pair of any kind; containers are queued."""
        if at.special:
            x, y = (prepare(value, at, lambda: path_of(parent, key)) for value in (x, y))
            if at.mask and not at.ignored:
                self._masked(x, y, key, parent, at)
                return
        kx, ky = type(x), type(y)
        if at.strict and kx is ky and (kx is str or kx is int):
            if x != y:
                self.record(parent, key, "changed", x, y, at)
        elif kx is dict and ky is dict and not at.special:
            self.nodes.append((x, y, key, parent, at.expand()))
        elif x is not y or not at.inline:
            fx = family(kx)
            fy = fx if kx is ky else family(ky)
            if not self._enter(x, y, fx, fy, key, parent, at) and not self._equal(x, y, fx, fy, key, parent, at):
                self._differ(x, y, key, parent, at)

    def _enter(self, x: Any, y: Any, fx: Family, fy: Family, key: Any, parent: Node | None, at: State) -> bool:
        """Compare two containers by their content; false if they are not both containers of one kind."""
        group = _meeting(x, y, fx, fy, at)
        if group == MAP:
            self._map(x, y, fx, fy, key, parent, at)
        elif group == SEQ:
            self._sequence(x, y, fx, fy, key, parent, at)
        elif group == SET:
            _match.compare_sets(self, fx.read(x), fy.read(y), (x, y), key, parent, at)
        elif group == OBJECT:
            self._object(x, y, fx, key, parent, at)
        else:
            return False
        return True

    def _differ(self, x: Any, y: Any, key: Any, parent: Node | None, at: State) -> None:
        if at.empty_is_null and parent is not None and type(parent[0]) is dict and _null_or_empty(x, y):
            self.used.append(at.sources["empty_is_null"])
        else:
            self.record(parent, key, "changed" if type(x) is type(y) else "type", x, y, at)

    def record(self, parent: Node | None, key: Any, kind: Kind, x: Any, y: Any, at: State, note: str = "") -> None:
        """Note a difference."""
        raw = (parent, key, kind, x, y, at, note)
        if at.ignored:
            self.ignored.append(raw)
        else:
            self.found.append(raw)
            if self.stop:
                raise Enough
        if len(self.found) + len(self.ignored) >= RAW_LIMIT:
            raise Enough

    def _queue(self, node: Node, x: Any, y: Any) -> None:
        node[4].expand()
        if node[0] is not x or node[1] is not y:
            self.origin[id(node)] = (x, y)
        self.nodes.append(node)

    def _map(self, x: Any, y: Any, fx: Family, fy: Family, key: Any, parent: Node | None, at: State) -> None:
        if type(x) is dict and type(y) is dict:
            self._queue((x, y, key, parent, at), x, y)
            return
        if self._met(x, y, at):
            return
        a, b = self.content(x, fx), self.content(y, fy)
        self._queue((a, b, key, parent, at), x, y)
        if not at.options.any_dict and keys_in_other_order(self.tokens, a, b, fx):
            self.record(parent, key, "order", x, y, at)

    def _sequence(self, x: Any, y: Any, fx: Family, fy: Family, key: Any, parent: Node | None, at: State) -> None:
        a, b = self._items(x, fx), self._items(y, fy)
        if at.unordered is not UNSET:
            if at.unordered is None:
                _match.compare_multisets(self, a, b, (x, y), key, parent, at)
            else:
                _match.compare_keyed(self, a, b, (x, y), key, parent, at)
        elif len(a) != len(b):
            self.record(parent, key, "changed", x, y, at)
        elif a is x or not self._met(x, y, at):
            self._queue((a, b, key, parent, at), x, y)

    def _items(self, value: Any, of: Family) -> Any:
        return [*tuple.__iter__(value)] if of.group == OBJECT else self.content(value, of)

    def _masked(self, x: Any, y: Any, key: Any, parent: Node | None, at: State) -> None:
        ok = holds(at.mask, x), holds(at.mask, y)
        if ok == (True, True):
            if not same(x, y, (self.pace.max_seconds, self.pace.max_nodes)):
                self.used.append(at.sources["mask"])
            return
        sides = " and ".join(name for name, good in zip(("control", "candidate"), ok, strict=True) if not good)
        self.record(parent, key, "changed", x, y, at, f"{at.text(at.sources['mask'])} does not hold for {sides}")

    def _object(self, x: Any, y: Any, fx: Family, key: Any, parent: Node | None, at: State) -> None:
        if self._met(x, y, at):
            return
        a, b = self.content(x, fx), self.content(y, fx)
        if fx.hollow and not a and not b:
            self.record(parent, key, "changed", x, y, at, "objects without state are equal only to themselves")
        else:
            self._queue((a, b, key, parent, at), x, y)

    def content(self, value: Any, of: Family) -> Any:
        """What a container holds, read safely."""
        if not of.guarded:
            return of.read(value)
        try:
            found = of.read(value)
            return found if type(found) is dict else dict(self.pace.through(found))
        except CompareTimeout:
            raise
        except Exception as error:
            raise CompareError(f"a {type(value).__name__} cannot be read: {type(error).__name__}.") from error

    def _equal(self, x: Any, y: Any, fx: Family, fy: Family, key: Any, parent: Node | None, at: State) -> bool:
        kx, ky = type(x), type(y)
        if kx is ky and fx.group == FOREIGN:
            return self._foreign_equal(x, y)
        if not is_scalar(fx, at) or not is_scalar(fy, at):
            return x is y
        try:
            if kx is ky and strict_key(x, kx, fx.base) == strict_key(y, ky, fy.base):
                if kx is not fx.base:
                    self._attributes(x, y, key, parent, at)
                return True
            return not at.strict and self._equal_by_rule(x, y, fx, fy, at)
        except Exception:  # noqa: BLE001 - a hostile tzinfo, or a released buffer
            return False

    def _equal_by_rule(self, x: Any, y: Any, fx: Family, fy: Family, at: State) -> bool:
        applied: list[str] = []
        key_x, coarse_x = scalar_key(x, type(x), fx, at, applied)
        key_y, coarse_y = scalar_key(y, type(y), fy, at, applied)
        if key_x != key_y or ((coarse_x or coarse_y) and not alike(x, y, fx, fy, at, applied)):
            return False
        self.used.extend({at.sources[name] for name in applied if name in at.sources})
        return True

    def _attributes(self, x: Any, y: Any, key: Any, parent: Node | None, at: State) -> None:
        """What instances of a subclass of ``str``, ``int``, ... hold besides their value."""
        a, b = state(x), state(y)
        if (a or b) and not self._met(x, y, at):
            self._queue((a, b, key, parent, at), x, y)

    def _foreign_equal(self, x: Any, y: Any) -> bool:
        try:
            return self.pace.foreign(_eq, x, y) is True
        except CompareTimeout:
            raise
        except Exception:  # noqa: BLE001 - an __eq__ may raise anything
            return False


def _eq(x: Any, y: Any) -> Any:
    return x == y


def _meeting(x: Any, y: Any, fx: Family, fy: Family, at: State) -> str:
    """The group two values are compared as; empty if they are not both containers of one kind."""
    if type(x) is type(y):
        return fx.group
    if at.options.any_dict and fx.group == MAP and fy.group == MAP:
        return MAP
    if at.options.any_sequence and _sequential(fx) and _sequential(fy):
        return SEQ
    return ""


def _sequential(of: Family) -> bool:
    return of.group == SEQ or (of.group == OBJECT and of.base is tuple)


def _null_or_empty(x: Any, y: Any) -> bool:
    return (x is None and is_empty(y)) or (y is None and is_empty(x))
