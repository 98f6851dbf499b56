"""Relations between two places of one value, such as ``$.a == $.b``: they must hold on both sides or on neither."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any, Final

from attrs import frozen

from shadowmig.compare._family import MAP, OBJECT, SEQ, SET, family
from shadowmig.compare._pace import STEP, Pace
from shadowmig.compare._states import State
from shadowmig.compare._walk import Walk
from shadowmig.compare.paths import Deep, Field, Index, Key, Name, Path, Segment, parse
from shadowmig.errors import CompareError, CompareTimeout, ConfigError
from shadowmig.model import MISSING, Difference

_ORDER: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge
}  # fmt: skip
_SIGN = re.compile(r"\s*(==|!=|<=|>=|<|>)\s*")


@frozen
class Relation:
    """
    Two paths and what must be true of their values.

    ``==`` and ``!=`` compare everything the paths find, in order; ``<`` ``<=`` ``>`` ``>=`` need one value each.
    """

    text: str
    left: Path
    sign: str
    right: Path
    use: int


def parse_relation(text: object, use: int) -> Relation:
    """Read a relation; `ConfigError` if it is none."""
    if isinstance(text, str):
        for found in _SIGN.finditer(text):
            try:
                left = parse(text[: found.start()].strip(), option="relations")
                right = parse(text[found.end() :].strip(), option="relations")
            except ConfigError:  # a sign inside a key: try the next one
                continue
            return Relation(text, left, found[1], right, use)
    raise ConfigError(
        f"relations: {text!r} is not of the form '$.a == $.b'.",
        remedy="Two paths with one of == != < <= > >= between them.",
        field="relations",
        value=text,
    )


def broken(relation: Relation, control: Any, candidate: Any, walk: Walk, bare: State) -> Difference | None:
    """The difference if a relation holds on one side only."""
    sides = []
    for value in (control, candidate):
        left = select(value, relation.left.segments, walk.pace)
        right = select(value, relation.right.segments, walk.pace)
        sides.append((_holds(relation.sign, left, right, walk, bare), left[0] if left else MISSING))
    (holds, x), (holds_too, y) = sides
    if holds == holds_too:
        return None
    side = "control" if holds else "candidate"
    return Difference(relation.left.text, "changed", x, y, note=f"the relation {relation.text} holds for {side} only")


def _holds(sign: str, left: list[Any], right: list[Any], walk: Walk, bare: State) -> bool:
    if sign in _ORDER:
        if len(left) != 1 or len(right) != 1:
            return False
        try:
            return walk.pace.foreign(_ORDER[sign], left[0], right[0]) is True
        except CompareTimeout:
            raise
        except Exception:  # noqa: BLE001 - a value's own < may raise anything
            return False
    inner = Walk(walk.pace, walk.tokens, stop=True)
    inner.run(left, right, bare)
    return bool(inner.found) is (sign == "!=")


def select(value: Any, segments: tuple[Segment, ...], pace: Pace) -> list[Any]:
    """Everything a path finds in a value, in order."""
    found = [value]
    for segment in segments:
        if type(segment) is Deep:
            found = _descend(found, pace)
            continue
        after: list[Any] = []
        for one in pace.through(found):
            children = _children(one, pace)
            after.extend(child for key, child in children if _matches(segment, key, child, len(children)))
        found = after
    return found


def _descend(found: list[Any], pace: Pace) -> list[Any]:
    """The values and everything below them; a value inside itself is not entered again."""
    todo: list[tuple[Any, bool]] = [(one, False) for one in reversed(found)]
    inside: set[int] = set()
    out: list[Any] = []
    while todo:
        one, left = todo.pop()
        if left:
            inside.discard(id(one))
            continue
        if id(one) in inside:
            continue
        out.append(one)
        if len(out) % STEP == 0:
            pace.tick()
        children = _children(one, pace)
        if children:
            inside.add(id(one))
            todo.append((one, True))
            todo.extend((child, False) for _, child in reversed(children))
    return out


def _children(value: Any, pace: Pace) -> list[tuple[Any, Any]]:
    of = family(type(value))
    if of.group not in (MAP, OBJECT, SEQ, SET):
        return []
    try:
        content = of.read(value)
        if of.group in (MAP, OBJECT):
            return [*pace.through(content.items() if type(content) is dict else content)]
        return [(_At(i), one) for i, one in enumerate(pace.through(content))]
    except CompareTimeout:
        raise
    except Exception as error:
        raise CompareError(f"a {type(value).__name__} cannot be read: {type(error).__name__}.") from error


class _At(int):
    """A list index, to tell it from an ``int`` key."""


def _matches(segment: Segment, key: Any, child: Any, length: int) -> bool:
    if type(segment) is Name:
        return type(key) is str and key == segment.name
    if type(segment) is Index:
        index = int(key) if type(key) in (int, _At) else None
        return index == segment.index or (type(key) is _At and key - length == segment.index)
    if type(segment) is Key:
        return type(key) is type(segment.value) and bool(key == segment.value)
    if type(segment) is Field:
        field = dict(child).get(segment.name, MISSING) if type(child) is dict else MISSING
        return type(key) is _At and type(field) is type(segment.value) and bool(field == segment.value)
    return True
