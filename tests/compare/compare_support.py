"""What the tests of the comparators share: edits, random JSON, mutations, real comments."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from shadowmig.compare import paths
from shadowmig.model import Difference

SHARED = Path(__file__).parents[2].parent / "shared" / "data"

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.integers(),
    st.floats(),
    st.sampled_from(["", "a", "b", "1", "é", "\ud800", "it's", "a b"]),
    st.text(max_size=5),
)
KEYS = st.one_of(st.sampled_from(["a", "b", "c", "a b", "it's", "1", ""]), st.text(max_size=3))


def trees(leaves: st.SearchStrategy[Any] = SCALARS) -> st.SearchStrategy[Any]:
    """Random JSON values."""
    return st.recursive(
        leaves,
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
        max_leaves=20,
    )


def _key(segment: paths.Segment) -> Any:
    if isinstance(segment, paths.Name):
        return segment.name
    return segment.index if isinstance(segment, paths.Index) else segment.value  # type: ignore[union-attr]  # wrong types on purpose


def apply_edits(control: Any, found: Iterable[Difference]) -> Any:
    """A copy of control with each reported difference applied as an edit, at its path, to the candidate's value."""
    root = [copy.deepcopy(control)]
    for difference in found:
        keys = [0, *map(_key, paths.parse(difference.path, option="path").segments)]
        holder: Any = root
        for key in keys[:-1]:
            holder = holder[key]
        if difference.kind == "missing":
            del holder[keys[-1]]
        else:
            holder[keys[-1]] = copy.deepcopy(difference.candidate)
    return root[0]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The keys of every place in a JSON value, the root first."""
    found, todo = [], [(value, path)]
    for one, keys in todo:
        found.append(keys)
        items = one.items() if isinstance(one, dict) else enumerate(one) if isinstance(one, list) else ()
        todo.extend((child, (*keys, key)) for key, child in items)
    return found


def mutate(value: Any, keys: tuple[Any, ...], how: str) -> tuple[Any, str, str] | None:
    """
    A mutated copy with the path and kind that must be reported; ``None`` if the mutation does not fit the place.

    ``change`` puts another value, ``drop`` removes a key or the list's last element, ``add`` adds one.
    """
    root = [copy.deepcopy(value)]
    holder: Any = root
    for key in (0, *keys)[:-1]:
        holder = holder[key]
    last = (0, *keys)[-1]
    target = holder[last]
    if how == "change":
        holder[last] = {"type": "another"} if type(target) is not dict else ["another"]
        return root[0], paths.render(keys), "type"
    if how == "drop":
        if not keys or not isinstance(holder, dict):
            return None
        del holder[last]
        return root[0], paths.render(keys), "missing"
    if isinstance(target, dict) and "added" not in target:
        target["added"] = 1
        return root[0], paths.render((*keys, "added")), "unexpected"
    if isinstance(target, list):
        target.append(1)
        return root[0], paths.render(keys), "changed"
    return None


def comments() -> list[Any]:
    """The real comments, or none where they are not at hand."""
    file = SHARED / "reddit_comments.jsonl"
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def nest(depth: int, leaf: Any, key: str | None = None) -> Any:
    """A value that deep, of lists, or of dicts with this key."""
    for _ in range(depth):
        leaf = [leaf] if key is None else {key: leaf}
    return leaf
