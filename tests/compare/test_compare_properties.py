"""Laws that hold for every pair of values."""

from __future__ import annotations

import copy
import json
import math
import random
from typing import Any

from compare_support import SCALARS, apply_edits, mutate, places, trees
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from shadowmig.compare import Tolerance, exact, structural

RULES: dict[str, Any] = {
    "ignore": [["$.a"], ["$..b"], ["$[0]"], ["$.*.c"]],
    "only": [["$.a"], ["$..b"]],
    "unordered": [True, ["$"], {"$..a": "b"}],
    "tolerance": [1.0, Tolerance(rel=0.5)],
    "numbers": ["value"],
    "missing_is_null": [True],
    "empty_is_null": [True],
    "missing_is_zero": [True],
    "numeric_strings": [True],
    "timestamps": [True],
    "html_unescape": [True],
    "base64": [True],
    "unicode": ["NFC"],
    "text_bytes": ["utf8"],
    "sequences": ["any"],
    "dict_types": ["any"],
    "signed_zero": ["same"],
    "datetimes": ["instant"],
}
OPTIONS = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in RULES.items()})
PAIRS = st.one_of(
    st.tuples(trees(), trees()),
    trees().flatmap(lambda tree: st.tuples(st.just(tree), st.just(copy.deepcopy(tree)))),
    st.tuples(st.lists(SCALARS, max_size=5)).flatmap(lambda one: st.tuples(st.just(one[0]), st.permutations(one[0]))),
)
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _strict(a: Any, b: Any) -> bool:
    """Type-strict equality, written the plain way."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_strict(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_strict, a, b))
    if isinstance(a, float):
        return (a == b and math.copysign(1, a) == math.copysign(1, b)) or (math.isnan(a) and math.isnan(b))
    return bool(a == b)


@QUICK
@given(trees(), OPTIONS)
def test_reflexive(tree: Any, options: dict[str, Any]) -> None:
    """A value equals itself and its copy under any options."""
    compare = structural(**options)
    for other in (tree, copy.deepcopy(tree)):
        found = compare(control=tree, candidate=other)
        assert (list(found), list(found.ignored)) == ([], [])


@QUICK
@given(PAIRS)
def test_equal_exactly_if_strictly_equal(pair: tuple[Any, Any]) -> None:
    """Without options there is a difference exactly if the plain definition of strict equality says so."""
    control, candidate = pair
    assert (not structural()(control=control, candidate=candidate)) == _strict(control, candidate)


@QUICK
@given(PAIRS, OPTIONS)
def test_symmetric(pair: tuple[Any, Any], options: dict[str, Any]) -> None:
    """Swapping the sides swaps missing and unexpected and changes no path."""
    compare = structural(**options)
    there = compare(control=pair[0], candidate=pair[1])
    back = compare(control=pair[1], candidate=pair[0])
    swap = {"missing": "unexpected", "unexpected": "missing"}
    assert bool(there) == bool(back)
    if options.get("unordered") is None:
        assert sorted((one.path, swap.get(one.kind, one.kind)) for one in there) == sorted(
            (one.path, one.kind) for one in back
        )


@QUICK
@given(PAIRS)
@example(([0, 1], [1, 0]))
@example(([[0, 1], 2], [[1, 0], 3]))
def test_edits(pair: tuple[Any, Any]) -> None:
    """The reported differences, applied as edits, turn control into the candidate."""
    control, candidate = pair
    found = structural()(control=control, candidate=candidate)
    assume(not found.truncated)
    assert _strict(apply_edits(control, found), candidate)


@QUICK
@given(trees(), st.sampled_from(["change", "drop", "add"]), st.data())
def test_every_mutation_is_found_at_its_path(tree: Any, how: str, data: st.DataObject) -> None:
    """One mutation anywhere is one difference, at its path and of its kind."""
    mutated = mutate(tree, data.draw(st.sampled_from(places(tree))), how)
    assume(mutated is not None)
    assert mutated is not None
    candidate, path, kind = mutated
    found = structural()(control=tree, candidate=candidate)
    assert [(one.path, one.kind) for one in found] == [(path, kind)]


@QUICK
@given(PAIRS, OPTIONS)
def test_rules_only_reduce(pair: tuple[Any, Any], options: dict[str, Any]) -> None:
    """Options that make values equal never make equal values differ, nor a difference where there was none above."""
    strict = structural()(control=pair[0], candidate=pair[1])
    ruled = structural(**options)(control=pair[0], candidate=pair[1])
    assert strict or not ruled


@QUICK
@given(PAIRS, st.sampled_from(RULES["ignore"]))
def test_ignored_is_never_silent(pair: tuple[Any, Any], ignore: list[str]) -> None:
    """What differs is reported, as counting or as ignored; a pair with neither is equal."""
    found = structural(ignore=ignore)(control=pair[0], candidate=pair[1])
    assert bool(list(found) or list(found.ignored)) is not _strict(*pair)


@QUICK
@given(st.lists(trees(), max_size=5), st.randoms(use_true_random=False))
def test_multisets(elements: list[Any], shuffle: random.Random) -> None:
    """A shuffled list is equal where order does not matter, and at most one ``order`` difference where it does."""
    shuffled = copy.deepcopy(elements)
    shuffle.shuffle(shuffled)
    assert not structural(unordered=["$"])(control=elements, candidate=shuffled)
    found = structural()(control=elements, candidate=shuffled)
    assert [(one.path, one.kind) for one in found] in ([], [("$", "order")])


@QUICK
@given(st.lists(st.integers(0, 40), max_size=6), st.lists(st.integers(0, 40), max_size=6))
def test_tolerant_multisets_find_a_matching_if_there_is_one(a: list[int], b: list[int]) -> None:
    """Under a tolerance a multiset of dicts is equal exactly if sorting both pairs everything within it."""
    control, candidate = ([{"n": float(n)} for n in side] for side in (a, b))
    close = len(a) == len(b) and all(abs(p - q) <= 3 for p, q in zip(sorted(a), sorted(b), strict=False))
    assert (not structural(unordered=["$"], tolerance=3)(control=control, candidate=candidate)) == close


@QUICK
@given(trees())
def test_paths_are_printable(tree: Any) -> None:
    """Every path can be printed and encoded, whatever the keys are."""
    for one in structural()(control=tree, candidate={"other": tree}):
        assert one.path.isprintable()
        one.path.encode()


@QUICK
@given(trees())
def test_json_round_trip(tree: Any) -> None:
    """A value equals its own JSON round trip."""
    text = json.dumps(tree)
    assert not structural(json_text=["$"])(control=text, candidate=json.dumps(tree, indent=1, ensure_ascii=False))
    assert not structural()(control=tree, candidate=json.loads(text))


@QUICK
@given(SCALARS, SCALARS)
def test_exact_is_structural_at_the_root(a: Any, b: Any) -> None:
    """For single values `exact` and `structural` differ at most about the sign of zero."""
    lenient = structural(signed_zero="same")(control=a, candidate=b)
    assert [one.path for one in exact(control=a, candidate=b)] == [one.path for one in lenient]
