"""
DeepDiff as a comparator, and as the explainer of a mismatch. The package is imported when one of them is first used.

As a judge it is slow and lenient; `deep` says where. `explain` only describes what `structural` has found.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Final

from shadowmig.compare._family import MAP, OBJECT, SCALAR, SEQ, SET, family
from shadowmig.compare._nodes import keys_of
from shadowmig.compare._pace import Pace
from shadowmig.compare._report import collapse
from shadowmig.compare._states import STRICT
from shadowmig.compare._walk import Walk
from shadowmig.compare.paths import label, render, shown
from shadowmig.errors import CompareError, CompareTimeout, ConfigError
from shadowmig.model import MISSING, Difference, Differences, Kind

_KINDS: Final[dict[str, Kind]] = {
    "values_changed": "changed", "repetition_change": "changed", "unprocessed": "changed", "type_changes": "type",
    "dictionary_item_added": "unexpected", "iterable_item_added": "unexpected", "attribute_added": "unexpected",
    "set_item_added": "unexpected", "dictionary_item_removed": "missing", "iterable_item_removed": "missing",
    "attribute_removed": "missing", "set_item_removed": "missing", "iterable_item_moved": "order",
}  # fmt: skip
# They change what comes back, or start processes.
_REFUSED: Final = {
    "self", "t1", "t2", "view", "kwargs", "group_by", "group_by_sort_key", "get_deep_distance", "multiprocessing",
    "multiprocessing_workers", "multiprocessing_threshold", "hashes",
}  # fmt: skip


class _Budget:
    """A DeepDiff operator that matches nothing; DeepDiff asks it at every level, so the limit is checked there."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.timeout: CompareTimeout | None = None

    def match(self, level: Any) -> bool:
        self._check()
        return False

    def give_up_diffing(
        self, level: Any, diff_instance: Any
    ) -> bool:  # pragma: no cover - it is asked only where match said yes
        return False

    def normalize_value_for_hashing(self, parent: Any, obj: Any) -> Any:
        self._check()
        return obj

    def _check(self) -> None:
        if self.timeout is not None:
            raise self.timeout  # DeepDiff swallows some exceptions; this one comes again
        try:
            self.pace.tick(1)
        except CompareTimeout as error:
            self.timeout = error
            raise


class Deep:
    """A comparator built by `deep`."""

    def __init__(self, options: dict[str, Any], max_seconds: float, max_nodes: int, max_differences: int) -> None:
        self._options = options
        self._limits = max_seconds, max_nodes
        self._max_differences = max_differences

    def __call__(self, *, control: Any, candidate: Any) -> Differences:
        """Compare two values; whatever DeepDiff raises becomes a `CompareError` that names it."""
        pace = Pace(*self._limits)
        for value in (control, candidate):
            _measure(value, pace)
        tree = _run(control, candidate, {**self._options, "view": "tree"}, Pace(self._limits[0], 2**62))
        found: list[Difference] = []
        for category, levels in tree.items():
            if category in _KINDS:
                found.extend(_differences(category, levels))
        limit = self._max_differences
        return Differences(found[:limit], truncated=len(found) > limit)

    def __repr__(self) -> str:
        return f"deep({', '.join(f'{name}={value!r}' for name, value in self._options.items())})"


def deep(
    *,
    max_seconds: float | timedelta = 2.0,
    max_nodes: int = 100_000,
    max_differences: int = 100,
    **deepdiff_options: Any,
) -> Deep:
    """
    Build a comparator that asks DeepDiff.

    For those whose rules are DeepDiff options already. It is some hundred times slower than `structural`, and with
    default options finds **no** difference between: values under keys that begin with two underscores, naive and
    aware UTC times, ``Decimal("1.10")`` and ``Decimal("1.1")``, ``-0.0`` and ``0.0``, two lambdas, two opaque objects,
    ordered dicts in another order. ``ignore_order=True`` also equates ``"NONE"`` with ``None``, ``"int:1"`` with ``1``,
    ``"bool:true"`` with ``True``, ``[1, 1, 2]`` with ``[1, 2]`` (unless ``report_repetition``) and nested lists in
    another order; ``ignore_numeric_type_changes=True`` equates ``2**53 + 1`` with the float beside it. It runs
    properties of the objects it walks. It raises on some values (lone surrogates, very long integers, signalling
    ``NaN``, ``deque``, deep nesting), which makes the verdict ``BROKEN``.

    Args:
        max_seconds: CPU seconds, or a `timedelta`; checked whenever DeepDiff enters a value. What it does in between
            (a property that blocks, a huge text) cannot be bounded.
        max_nodes: Most values on each side; more are refused before DeepDiff sees them.
        max_differences: Most differences kept; more set ``truncated``.
        deepdiff_options: Options of ``DeepDiff``, but for those that change its result's form or start processes.

    Raises:
        ConfigError: An option DeepDiff does not know, or a value it refuses.
    """
    known = set(inspect.signature(_deepdiff().__init__).parameters)
    for name, given in deepdiff_options.items():
        if name not in known or name in _REFUSED or name.startswith("_"):
            allowed = sorted(one for one in known - _REFUSED if not one.startswith("_"))
            raise ConfigError(
                f"deep: {name!r} is not a DeepDiff option that can be used here.",
                remedy=f"Use one of {', '.join(allowed)}.",
                field=name,
                value=given,
            )
    seconds = max_seconds.total_seconds() if isinstance(max_seconds, timedelta) else max_seconds
    for option, value in (("max_seconds", seconds), ("max_nodes", max_nodes), ("max_differences", max_differences)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
            raise ConfigError(f"deep: {option} is a number above 0, not {value!r}.", field=option, value=value)
    try:
        _deepdiff()({}, {}, view="tree", **deepdiff_options)
    except Exception as error:
        raise ConfigError(
            f"deep: DeepDiff refuses its options: {error}", field="deep", value=deepdiff_options
        ) from error
    return Deep(deepdiff_options, float(seconds), max_nodes, max_differences)


def _deepdiff() -> Callable[..., Any]:
    from deepdiff import DeepDiff

    return DeepDiff


def _run(control: Any, candidate: Any, options: dict[str, Any], pace: Pace) -> Any:
    budget = _Budget(pace)
    operators = [*(options.get("custom_operators") or ()), budget]
    try:
        result = _deepdiff()(control, candidate, **{**options, "custom_operators": operators})
    except CompareTimeout:
        raise
    except Exception as error:
        raise CompareError(f"DeepDiff raised {type(error).__name__}: {error}", remedy="Use structural().") from error
    if budget.timeout is not None:
        raise budget.timeout
    return result


def _measure(value: Any, pace: Pace) -> None:
    """Count the values below one, so that one that is far too large never reaches DeepDiff."""
    todo, seen = [value], set()
    for one in pace.through(todo):
        of = family(type(one))
        if of.group in (MAP, OBJECT, SEQ, SET) and not of.guarded and id(one) not in seen:
            seen.add(id(one))
            content = of.read(one)
            todo.extend(content.values() if type(content) is dict else content)


def _differences(category: str, levels: Any) -> Iterator[Difference]:
    for level in levels:
        keys = level.path(output_format="list")
        if category.startswith("set_item"):
            keys = keys[:-1]
        x, y = (MISSING if type(side).__name__ == "NotPresent" else side for side in (level.t1, level.t2))
        yield Difference(render(keys), _KINDS[category], x, y, note=f"DeepDiff: {category}")


def explain(
    control: Any,
    candidate: Any,
    *,
    max_chars: int = 4_000,
    max_seconds: float = 1.0,
) -> str:
    """
    Describe how two values differ, in DeepDiff's words.

    Both are cut down to the places `structural` finds different, and those to a size, before DeepDiff sees them.

    Args:
        control: Control's value.
        candidate: The candidate's value.
        max_chars: Most characters returned.
        max_seconds: CPU seconds for finding the places, and again for describing them.

    Returns:
        Lines of text, printable everywhere; ``""`` if they are equal, or it cannot be said within the limits. Never
        raises.
    """
    try:
        walk = Walk(Pace(max_seconds, 5_000_000))
        walk.run(control, candidate, STRICT.root())
        collapse(walk)
        small: tuple[dict[Any, Any], dict[Any, Any]] = ({}, {})
        for parent, key, _, x, y, _, _ in walk.found[:_PLACES]:
            for side, value in zip(small, (x, y), strict=True):
                _put(side, keys_of(parent, key), value)
        a, b = (side.get(_ROOT, side) for side in small)
        options = {"ignore_private_variables": False, "ignore_nan_inequality": True, "verbose_level": 2}
        text = str(_run(a, b, options, Pace(max_seconds, 2**62)).pretty())
    except Exception:  # noqa: BLE001 - it promises to say nothing rather than raise
        return ""
    if len(text) > max_chars:
        text = text[: max(max_chars - 1, 0)] + "…" if max_chars > 0 else ""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


_PLACES: Final = 20
_DEPTH: Final = 40
_ITEMS: Final = 30
_CHARS: Final = 300
_ROOT: Final = object()


def _put(side: dict[Any, Any], keys: list[Any], value: Any) -> None:
    """Place a shortened value at its path in a skeleton of dicts."""
    if len(keys) > _DEPTH:  # DeepDiff recurses
        keys = [render(keys[:-_DEPTH]), *keys[-_DEPTH:]]
    names = [key if type(key) in (str, int) else label(key) for key in keys] or [_ROOT]
    for name in names[:-1]:
        side = side.setdefault(name, {})
    if value is not MISSING:
        side[names[-1]] = _short(value, 4)


def _short(value: Any, depth: int) -> Any:
    of = family(type(value))
    if of.group == SCALAR:
        if of.base in (str, bytes):
            return value if len(value) <= _CHARS else value[:_CHARS]
        return value if of.base in (int, float, bool, type(None)) else shown(value)
    if of.group not in (MAP, OBJECT, SEQ, SET) or of.guarded or depth == 0:
        return f"<{type(value).__qualname__}>" if of.base is object else shown(value)
    content = of.read(value)
    if type(content) is dict:
        items = list(content.items())[:_ITEMS]
        return {key if type(key) is str else label(key): _short(one, depth - 1) for key, one in items}
    short = [_short(one, depth - 1) for one in list(content)[:_ITEMS]]
    return tuple(short) if type(value) is tuple else short
