"""
Dicts that are not alike in the simple way: other keys, keys that are not text, objects read as dicts.

A key is paired with the key of the same type and value, never with one that merely has the same hash and ``==``.
"""

from __future__ import annotations

from collections import OrderedDict
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from shadowmig.compare._family import MAP, SCALAR, SEQ, SET, Family, family
from shadowmig.compare._keys import plain_keys
from shadowmig.compare._scalars import key as scalar_key
from shadowmig.compare._states import STRICT, State
from shadowmig.errors import CompareTimeout
from shadowmig.model import MISSING

if TYPE_CHECKING:
    from shadowmig.compare._nodes import Node
    from shadowmig.compare._settle import Settler
    from shadowmig.compare._tokens import Tokens

_NONE = object()
Lone = list[tuple[Any, Any]]


def compare_maps(walk: Settler, node: Node) -> None:
    """Compare two dicts key by key; what only one of them has comes last."""
    a, b, _, _, at = node
    at.expand()
    plain = plain_keys(a) and plain_keys(b)
    lone_a, lone_b = _plain(walk, node, a, b) if plain else _typed(walk, node, a, b)
    if lone_a and lone_b and at.bare.options.aliases:
        lone_a, lone_b = _aliased(walk, node, lone_a, lone_b)
    for k, x in lone_a:
        below = at.key(k)
        if rule := absent_rule(x, below):
            walk.used.append(below.sources[rule])
        else:
            walk.record(node, k, "missing", x, MISSING, below)
    for k, y in lone_b:
        below = at.key(k)
        if rule := absent_rule(y, below):
            walk.used.append(below.sources[rule])
        else:
            walk.record(node, k, "unexpected", MISSING, y, below)


def _plain(walk: Settler, node: Node, a: dict[Any, Any], b: dict[Any, Any]) -> tuple[Lone, Lone]:
    at = node[4]
    lone: Lone = []
    for k, x in walk.pace.through(a.items()):
        y = b.get(k, _NONE)
        if y is _NONE:
            lone.append((k, x))
            continue
        below = at.key(k)
        if not (below.inline and (x is y or (type(x) is str and type(y) is str and x == y))):
            walk.settle(x, y, k, node, below)
    if len(a) - len(lone) == len(b):
        return lone, []
    return lone, [(k, y) for k, y in walk.pace.through(b.items()) if k not in a]


def _typed(walk: Settler, node: Node, a: dict[Any, Any], b: dict[Any, Any]) -> tuple[Lone, Lone]:
    tokens, strict = walk.tokens, STRICT.root()
    theirs: dict[Any, Lone] = {}
    for k, y in walk.pace.through(b.items()):
        theirs.setdefault(tokens.of(k, strict), []).append((k, y))
    lone: Lone = []
    for k, x in walk.pace.through(a.items()):
        token = tokens.of(k, strict)
        pairs = theirs.get(token, [])
        index = _find(walk, k, pairs, exact=tokens.exact(token))
        if index is None:
            lone.append((k, x))
        else:
            y = pairs.pop(index)[1]
            below = node[4].key(k)
            if x is not y or not below.inline:
                walk.settle(x, y, k, node, below)
    return lone, [pair for pairs in theirs.values() for pair in pairs]


def _find(walk: Settler, k: Any, pairs: Lone, *, exact: bool) -> int | None:
    if exact:
        return 0 if pairs else None
    for index, (key, _) in enumerate(pairs):
        if key is k or _agree(walk, k, key):
            return index
    return None


def _agree(walk: Settler, k: Any, key: Any) -> bool:
    try:
        return walk.pace.foreign(lambda: k == key) is True
    except CompareTimeout:
        raise
    except Exception:  # noqa: BLE001 - a key's own == may raise anything
        return False


def _aliased(walk: Settler, node: Node, lone_a: Lone, lone_b: Lone) -> tuple[Lone, Lone]:
    """Pair keys that only a global option makes equal: another normal form, bytes, another number type."""
    bare = node[4].bare
    theirs: dict[Any, Lone] = {}
    for k, y in lone_b:
        theirs.setdefault(walk.tokens.of(k, bare), []).append((k, y))
    left: Lone = []
    for k, x in lone_a:
        pairs = theirs.get(walk.tokens.of(k, bare))
        if pairs:
            key, y = pairs.pop(0)
            walk.used.extend({bare.sources[name] for name in (*_applied(k, bare), *_applied(key, bare))})
            walk.settle(x, y, k, node, node[4].key(k))
        else:
            left.append((k, x))
    return left, [pair for pairs in theirs.values() for pair in pairs]


def _applied(k: Any, bare: State) -> list[str]:
    applied: list[str] = []
    if (of := family(type(k))).group == SCALAR:
        scalar_key(k, type(k), of, bare, applied)
    return [name for name in applied if name in bare.sources]


def keys_in_other_order(tokens: Tokens, a: dict[Any, Any], b: dict[Any, Any], of: Family) -> bool:
    """Whether two mappings whose order is part of their value have the same keys in another order."""
    if of.base is not OrderedDict or len(a) != len(b):
        return False
    strict = STRICT.root()
    keys_a, keys_b = ([tokens.of(k, strict) for k in keys] for keys in (a, b))
    return keys_a != keys_b and set(keys_a) == set(keys_b)


def absent_rule(value: Any, at: State) -> str | None:
    """The option by which a key with this value equals a missing key, if one does."""
    if at.missing_is_null:
        if value is None:
            return "missing_is_null"
        if at.empty_is_null and is_empty(value):
            return "empty_is_null"
    return "missing_is_zero" if at.missing_is_zero and is_zero(value) else None


def is_empty(value: Any) -> bool:
    """Whether it is an empty list or dict of any kind."""
    of = family(type(value))
    return of.group in (SEQ, MAP) and not of.guarded and len(of.read(value)) == 0


def is_zero(value: Any) -> bool:
    """
    Whether it is a zero value, which Go's ``omitempty`` and ``omitzero`` and proto3 leave out.

    Null, false, zero of any number type, an empty text, list, dict or set, and a dict of nothing but zero values.
    """
    todo, seen = [value], set()
    for one in todo:
        of = family(type(one))
        if of.group == MAP and not of.guarded:
            if id(one) not in seen:
                seen.add(id(one))
                todo.extend(of.read(one).values())
        elif of.group in (SEQ, SET):
            if of.read(one):
                return False
        elif of.group != SCALAR or not _zero_scalar(one, of.base):
            return False
    return True


def _zero_scalar(value: Any, base: type[Any]) -> bool:
    if base is Decimal:
        return bool(Decimal.is_zero(value))
    if base in (bool, int, float, complex):
        return bool(value == 0)
    if base in (str, bytes, bytearray):
        return bool(base.__len__(value) == 0)
    return value is None or (base is Fraction and value == 0)
