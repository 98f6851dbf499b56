"""
Tokens: small numbers that stand for whole values, so that multisets of deep values can be counted.

Equal values (under the rules of their place) have the same token. The reverse holds for *exact* tokens; a *coarse*
one only says "perhaps": a tolerance, a mask, an ignored part or a foreign ``__eq__`` is involved, and the pair must
be compared. Every distinct content is numbered once and refers to its parts by their numbers, so nothing deep is ever
hashed, compared or freed recursively, and shared subtrees are looked at once.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Any

from shadowmig.compare._family import FOREIGN, MAP, OBJECT, SEQ, SET, Family, family
from shadowmig.compare._maps import absent_rule, is_empty
from shadowmig.compare._pace import STEP, Pace
from shadowmig.compare._prepare import prepare
from shadowmig.compare._scalars import is_scalar
from shadowmig.compare._scalars import key as scalar_key
from shadowmig.compare._states import UNSET, State

Child = tuple[Any, Any, State]


class _Open:
    """A container whose parts are being numbered."""

    __slots__ = ("at", "children", "coarse", "kind", "memo", "shape")

    def __init__(self, shape: Any, kind: str, children: list[Child], memo: tuple[int, int], coarse: bool) -> None:
        self.shape, self.kind, self.children, self.memo, self.coarse = shape, kind, children, memo, coarse
        self.at = 0


class Tokens:
    """
    The tokens of one comparison, for both sides.

    Attributes:
        cyclic: Whether a value contained itself; its token then says nothing.
    """

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.cyclic = False
        self._ids: dict[Any, int] = {}
        self._coarse: list[bool] = []
        self._memo: dict[tuple[int, int], int] = {}
        self._ready: dict[tuple[int, int], Any] = {}
        self._kept: list[Any] = []
        self._left = STEP

    def exact(self, token: int) -> bool:
        """Whether values with this token are certainly equal."""
        return not self._coarse[token]

    def of(self, value: Any, at: State) -> int:
        """The token of a value at a place."""
        token = self._leaf(value, at)
        if token is not None:
            return token
        memo = (id(value), id(at))
        if memo in self._memo:
            return self._memo[memo]
        stack = [self._open(value, at)]
        opened = {memo}
        while stack:
            top = stack[-1]
            child = self._next(top, opened)
            if child is None:
                self._memo[top.memo] = self._close(top)
                opened.discard(top.memo)
                stack.pop()
            else:
                opened.add((id(child[1]), id(child[2])))
                stack.append(self._open(child[1], child[2]))
        return self._memo[memo]

    def _next(self, top: _Open, opened: set[tuple[int, int]]) -> Child | None:
        """The next part without a token."""
        children = top.children
        while top.at < len(children):
            _, value, at = child = children[top.at]
            self._left -= 1
            if self._left < 0:
                self._left = self.pace.tick()
            token = self._leaf(value, at)
            if token is None:
                memo = (id(value), id(at))
                token = self._memo.get(memo)
                if token is None and memo in opened:
                    self.cyclic = True
                    token = self._number("cycle", coarse=True)
                if token is None:
                    return child
            children[top.at] = (child[0], token, at)
            top.at += 1
        return None

    def _leaf(self, value: Any, at: State) -> int | None:
        if not at.ready:
            at.expand()
        kind = type(value)
        if at.strict and (kind is str or kind is int):
            return self._number((kind, value), coarse=False)
        if at.plain and kind is dict:
            return self._flat(value)
        if at.special:
            value = self._prepared(value, at)
            kind = type(value)
            if at.mask and at.ignore is None:
                return self._number("masked", coarse=True)
        of = family(kind)
        if is_scalar(of, at):
            try:
                key, coarse = scalar_key(value, kind, of, at, [])
                return self._number(key, coarse or kind is not of.base)
            except Exception:  # noqa: BLE001 - a hostile tzinfo or an unhashable part; the pair is compared
                return self._number((kind, "unread"), coarse=True)
        if of.group in (MAP, SEQ, SET, OBJECT):
            return None
        if of.group == FOREIGN:
            return self._number((kind, "foreign"), coarse=True)
        self._kept.append(value)
        return self._number(("opaque", id(value)), coarse=False)

    def _flat(self, value: dict[Any, Any]) -> int | None:
        """The token of a small dict of nothing but simple values: the usual element, in one step."""
        if len(value) > 64:
            return None
        parts: list[Any] = []
        for k, one in value.items():
            kind = type(one)
            # Not a look-up in a set of types: a metaclass may have a hostile hash.
            if type(k) is not str or not (kind is str or kind is int or kind is bool or one is None):
                return None
            parts.append((k, kind, one))
        return self._number(("flat", frozenset(parts)), coarse=False)

    def _prepared(self, value: Any, at: State) -> Any:
        if not at.normalize and not at.json_text:
            return value
        memo = (id(value), id(at))
        if memo not in self._ready:
            self._ready[memo] = prepare(value, at)
            self._kept.append(value)
        return self._ready[memo]

    def _number(self, key: Any, coarse: bool) -> int:
        token = self._ids.get(key)
        if token is None:
            token = self._ids[key] = len(self._coarse)
            self._coarse.append(coarse)
        elif coarse:
            self._coarse[token] = True
        return token

    def _open(self, value: Any, at: State) -> _Open:
        self._kept.append(value)
        memo = (id(value), id(at))
        if at.special:
            value = self._prepared(value, at)
        kind = type(value)
        of = family(kind)
        at.expand()
        if of.group in (MAP, OBJECT):
            return self._open_map(value, kind, of, at, memo)
        items = of.read(value)
        self._left -= len(items)  # a wide one is paid for at the next tick
        # A rule for [id=2] depends on both sides, so there the pair decides.
        shape = "seq" if at.options.any_sequence and of.group == SEQ else kind
        if of.group == SEQ and at.unordered is UNSET:
            length = len(items)
            other = None if at.indexes else at.other
            children: list[Child] = [(i, one, other or at.item(i, length)) for i, one in enumerate(items)]
            return _Open((shape, length), "sequence", [] if at.fields else children, memo, bool(at.fields))
        # A list aligned by a field is a multiset too, but for the order of duplicates, which the pair decides.
        coarse = bool(at.fields) or (of.group == SEQ and at.unordered is not None)
        children = [] if at.fields else [(0, one, at.other) for one in items]
        return _Open((shape, len(items)), "multiset", children, memo, coarse)

    def _open_map(self, value: Any, kind: type[Any], of: Family, at: State, memo: tuple[int, int]) -> _Open:
        content = of.read(value)
        content = content if type(content) is dict else dict(self.pace.through(content))
        self._kept.append(content)
        if of.hollow and not content:
            return _Open((kind, id(value)), "map", [], memo, coarse=False)
        children: list[Child] = []
        coarse = False
        for k, one in self.pace.through(content.items()):
            below = at.key(k)
            if below.ignore is not None or below.outside or absent_rule(one, below):
                coarse = True  # it may be missing on the other side
                continue
            label = k if type(k) is str and not at.options.aliases else (self.of(k, at.bare),)
            empty = below.empty_is_null and (one is None or is_empty(one))
            coarse = coarse or empty
            children.append((label, None if empty else one, below))
        if len({child[0] for child in children}) < len(children):
            coarse = True
        order = of.base is OrderedDict and not at.options.any_dict
        shape = "map" if at.options.any_dict and of.group == MAP else kind
        return _Open((shape, "ordered" if order else ""), "ordered" if order else "map", children, memo, coarse)

    def _close(self, top: _Open) -> int:
        parts: Any
        if len(top.children) == 1 and top.kind != "sequence":
            parts = top.children[0][0], top.children[0][1]
        elif top.kind == "sequence":
            parts = tuple(child[1] for child in top.children)
        elif top.kind == "multiset":
            parts = frozenset(Counter(child[1] for child in top.children).items())
        elif top.kind == "ordered":
            parts = tuple((child[0], child[1]) for child in top.children)
        else:
            parts = frozenset((child[0], child[1]) for child in top.children)
        coarse = top.coarse or any(self._coarse[child[1]] for child in top.children)
        return self._number((top.shape, top.kind, parts), coarse)
