"""
From what a walk found to what is reported: permuted lists become one difference, the rest is cut to a size.

A list of the same elements in another order is one fact, not one difference per position. It can only be seen when
the walk is over: a list is a candidate when at least two of its elements differ, and only those are looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shadowmig.compare._match import match
from shadowmig.compare._nodes import path_of
from shadowmig.compare._states import UNSET
from shadowmig.compare._walk import Walk
from shadowmig.errors import CompareTimeout
from shadowmig.model import Difference

if TYPE_CHECKING:
    from shadowmig.compare._nodes import Node, Raw
    from shadowmig.compare._states import Plan


def collapse(walk: Walk) -> None:
    """
    Replace the differences inside permuted lists by one difference at each such list, the outermost.

    If that takes too long the differences stay as they are: they are true, only many.
    """
    try:
        _collapse(walk)
    except CompareTimeout:
        return


def _collapse(walk: Walk) -> None:
    touched = _touched(walk.found)
    permuted: dict[int, Node] = {}
    for node, keys in touched.values():
        if len(keys) > 1 and type(node[0]) is not dict and node[4].unordered is UNSET and _permuted(walk, node, keys):
            permuted[id(node)] = node
    if not permuted:
        return
    outermost: dict[int, Node | None] = {}
    kept: list[Raw] = []
    for raw in walk.found:
        node_or_none = _outermost(raw[0], permuted, outermost)
        if node_or_none is None:
            kept.append(raw)
        elif id(node_or_none) in permuted:
            del permuted[id(node_or_none)]
            kept.append(_order(walk, node_or_none))
    walk.found = kept


def _order(walk: Walk, node: Node) -> Raw:
    x, y = walk.origin.get(id(node), node[:2])
    return node[3], node[2], "order", x, y, node[4], ""


def _touched(found: list[Raw]) -> dict[int, tuple[Node, set[Any]]]:
    """The nodes above the differences, with the keys of those children that differ; each is climbed once."""
    touched: dict[int, tuple[Node, set[Any]]] = {}
    for raw in found:
        node, key = raw[0], raw[1]
        while node is not None:
            known = touched.get(id(node))
            mark = key if type(key) is int else None
            if known is not None:
                known[1].add(mark)
                break
            touched[id(node)] = (node, {mark})
            node, key = node[3], node[2]
    return touched


def _outermost(node: Node | None, permuted: dict[int, Node], known: dict[int, Node | None]) -> Node | None:
    climbed: list[Node] = []
    while node is not None and id(node) not in known:
        climbed.append(node)
        node = node[3]
    above = known[id(node)] if node is not None else None
    for one in reversed(climbed):
        if above is None:
            above = permuted.get(id(one))
        known[id(one)] = above
    return above


def _permuted(walk: Walk, node: Node, keys: set[Any]) -> bool:
    a, b, _, _, at = node
    places = [*range(len(a))] if walk.truncated else sorted(keys)
    if at.uniform and at.strict and _signatures(walk, a, places) != _signatures(walk, b, places):
        return False
    pairs = match(walk, a, b, places, places, node, at.other if at.uniform else None)
    return pairs is not None


def _signatures(walk: Walk, values: Any, places: list[int]) -> dict[Any, int]:
    """How often each outline comes: what can be told without looking deep, to fail early."""
    found: dict[Any, int] = {}
    for i in walk.pace.through(places):
        outline = _outline(values[i])
        found[outline] = found.get(outline, 0) + 1
    return found


def _outline(value: Any) -> Any:
    kind = type(value)
    if kind is dict and len(value) <= 256:
        return frozenset((k, _simple(x)) for k, x in value.items() if type(k) is str)
    return (kind, len(value)) if kind is dict or kind is list or kind is tuple else _simple(value)


def _simple(value: Any) -> Any:
    # Not a look-up in a set of types: a metaclass may have a hostile hash.
    kind = type(value)
    return (kind, value) if kind is str or kind is int or kind is bool or value is None else id(kind)


def differences(walk: Walk, plan: Plan, limit: int) -> tuple[list[Difference], list[Difference]]:
    """Those that count and those that are ignored, each at most so many."""
    return (
        [_difference(raw, plan) for raw in walk.found[:limit]],
        [_difference(raw, plan) for raw in walk.ignored[:limit]],
    )


def _difference(raw: Raw, plan: Plan) -> Difference:
    parent, key, kind, x, y, at, note = raw
    rule = None
    if at.ignore is not None:
        rule = plan.uses[at.ignore].text
    elif at.outside:
        rule = "only"
    notes = [note] if note else []
    if rule is None:
        notes += [f"the rule {plan.uses[i].text} expired on {plan.uses[i].expires}" for i in at.notes]
    return Difference(path_of(parent, key), kind, x, y, rule, "; ".join(notes))
