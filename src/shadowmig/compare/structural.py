"""
`structural`: compare by type and value, say where, and know what may differ.

The front of the walker: options are checked and compiled once, when the comparator is built; a call first proves
equality with a quick pass and only walks when that fails. A comparator may be shared between threads.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, Literal, TypeAlias

from shadowmig.compare._options import compile_plan
from shadowmig.compare._pace import Pace
from shadowmig.compare._relations import broken
from shadowmig.compare._report import collapse, differences
from shadowmig.compare._rules import Rule, Tolerance
from shadowmig.compare._same import same
from shadowmig.compare._states import Plan
from shadowmig.compare._walk import Walk
from shadowmig.errors import CompareError, ConfigError
from shadowmig.model import Differences, RuleUse

Where: TypeAlias = bool | str | Iterable[str]
"""Places an option holds at: paths, one path, or ``True`` for everywhere."""

_EQUAL: Final = Differences()


class Structural:
    """A comparator built by `structural`."""

    __slots__ = ("_given", "_limits", "_lock", "_looks", "_max_differences", "_only", "_plan", "_used")

    def __init__(self, plan: Plan, given: Mapping[str, Any], limits: tuple[float, int], max_differences: int) -> None:
        self._plan = plan
        self._given = dict(given)
        self._limits = limits
        self._max_differences = max_differences
        self._looks = not plan.root().inline
        self._only = next((entry.use for entry in plan.entries if entry.option == "only"), -1)
        self._used: Counter[int] = Counter()
        self._lock = threading.Lock()

    def __call__(self, *, control: Any, candidate: Any) -> Differences:
        """
        Compare two values.

        Raises:
            CompareTimeout: The comparison ran past ``max_seconds`` or ``max_nodes``.
            CompareError: A normalizer raised, or a value could not be read or changed meanwhile. Nothing else is
                raised, whatever the values do.
        """
        try:
            if not self._looks and same(control, candidate, self._limits):
                return _EQUAL
            return self._walk(control, candidate)
        except CompareError:
            raise
        except RuntimeError as error:
            raise CompareError(f"a value changed while it was compared: {error}.") from error
        except Exception as error:
            raise CompareError(f"the values cannot be compared: {type(error).__name__}.") from error

    def _walk(self, control: Any, candidate: Any) -> Differences:
        plan, limit = self._plan, self._max_differences
        root = plan.root()
        walk = Walk(Pace(*self._limits))
        walk.run(control, candidate, root)
        if len(walk.found) > 1:
            collapse(walk)
        found, ignored = differences(walk, plan, limit)
        for relation in plan.relations:
            if difference := broken(relation, control, candidate, walk, root.bare):
                found.append(difference)
                walk.used.append(relation.use)
        if walk.used or walk.ignored:
            self._count(walk)
        truncated = walk.truncated or len(walk.found) > limit or len(walk.ignored) > limit
        return Differences(found, ignored=ignored, truncated=truncated)

    def _count(self, walk: Walk) -> None:
        ignored = (self._only if raw[5].ignore is None else raw[5].ignore for raw in walk.ignored)
        used = [*walk.used, *ignored]
        with self._lock:
            self._used.update(used)

    def rules(self) -> tuple[RuleUse, ...]:
        """
        How often each rule took effect since the comparator was built, in the order the rules were given.

        ``used`` counts differences a rule ignored, made equal or, for a relation, found.
        """
        expired = self._plan.expired()
        with self._lock:
            used = dict(self._used)
        return tuple(
            RuleUse(use.text, used.get(i, 0), use.reason, i in expired) for i, use in enumerate(self._plan.uses)
        )

    def __repr__(self) -> str:
        return f"structural({', '.join(f'{name}={value!r}' for name, value in self._given.items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._given,)


def _rebuild(given: dict[str, Any]) -> Structural:
    return structural(**given)


def structural(  # noqa: PLR0913 - each option is keyword-only and has a default
    *,
    ignore: str | Rule | Iterable[str | Rule] = (),
    only: str | Iterable[str] = (),
    unordered: Where | Mapping[str, str | None] = (),
    tolerance: float | Tolerance | Mapping[str, float | Tolerance] | None = None,
    normalize: Mapping[str, Callable[[Any], Any] | Iterable[Callable[[Any], Any]]] | None = None,
    numbers: Literal["strict", "value"] = "strict",
    missing_is_null: Where = False,
    empty_is_null: Where = False,
    missing_is_zero: Where = False,
    numeric_strings: Where = (),
    timestamps: Where | Mapping[str, Any] | None = None,
    html_unescape: Where = (),
    base64: Where = (),
    json_text: Where = (),
    unicode: Literal["NFC"] | None = None,
    text_bytes: Literal["utf8"] | None = None,
    sequences: Literal["strict", "any"] = "strict",
    dict_types: Literal["strict", "any"] = "strict",
    duplicate_keys: Literal["last", "reject"] = "last",
    signed_zero: Literal["strict", "same"] = "strict",
    datetimes: Literal["strict", "instant"] = "strict",
    mask: Mapping[str, Any] | None = None,
    relations: str | Iterable[str] = (),
    max_differences: int = 100,
    max_seconds: float | timedelta = 2.0,
    max_nodes: int = 5_000_000,
) -> Structural:
    """
    Build a comparator that is strict unless told otherwise.

    Without options ``1``, ``1.0`` and ``True`` differ, ``-0.0`` and ``0.0``, ``Decimal("1.10")`` and
    ``Decimal("1.1")``, ``null``, missing and empty, tuple and list; ``NaN`` equals ``NaN``, and the order of keys never
    matters (but for `collections.OrderedDict`, whose order is part of its value). Objects are compared by what they
    hold, without running their code; where a class defines ``__eq__``, that decides between two objects of the same
    class, and one that raises or answers with something else than a bool means different. Fields that a dataclass or
    attrs class leaves out of its own comparison are left out here too.

    Paths are those of `shadowmig.compare.paths`. Where an option takes places, ``True`` means everywhere. Options
    combine: a value is first normalized, then parsed (``json_text``), then compared under all that holds at its place.
    Of two rules of one option for one place, the later one holds.

    Args:
        ignore: Differences at these paths and below are marked as ignored; see `Rule`.
        only: Differences anywhere else are marked as ignored, by the rule ``only``.
        unordered: Lists whose order does not matter. A mapping from path to field aligns elements by that field
            (``a.b`` for a field of a field), duplicates in the order they come, elements without it likewise; the
            field ``None``, or plain paths, mean multisets, reported as a whole.
        tolerance: How far numbers may be apart when a float takes part: absolute, or a `Tolerance`; or a mapping from
            paths. Numbers of different types still differ unless ``numbers="value"``.
        normalize: From path to a function, or several, applied to both sides first. It must not change its argument.
        numbers: ``"value"``: numbers compare by exact mathematical value whatever their type; a bool is no number.
        missing_is_null: A missing key equals ``null``. Keys only, not list elements.
        empty_is_null: ``null`` equals ``[]`` and ``{}``. Keys only. With ``missing_is_null`` they also equal a
            missing key.
        missing_is_zero: A missing key equals a zero value: null, false, 0, empty, or a dict of nothing but zero values.
        numeric_strings: The canonical decimal text of an int equals that int.
        timestamps: Text in RFC 3339, and `datetime.datetime`, compare as instants; naive and aware are never equal.
            Paths, or ``{"paths": [...], "precision": "us"}``, or a mapping from path to precision, which is ``"ns"``
            (the default), ``"us"``, ``"ms"`` or ``"s"``, by truncation.
        html_unescape: HTML entities are unescaped, once, on both sides.
        base64: Bytes equal their text in standard base64, with padding.
        json_text: Text and bytes that are JSON are parsed and compared by content.
        unicode: ``"NFC"``: text, keys included, is compared in that normal form.
        text_bytes: ``"utf8"``: bytes equal the text they encode; keys too.
        sequences: ``"any"``: list, tuple, named tuple and deque compare by their elements.
        dict_types: ``"any"``: all mappings compare by their items.
        duplicate_keys: ``"reject"``: a key that comes twice in ``json_text`` is a difference.
        signed_zero: ``"same"``: ``-0.0`` equals ``0.0``.
        datetimes: ``"instant"``: aware datetimes of different zones are equal when they are the same instant.
        mask: From path to what must hold on both sides, while the values may differ: ``"nonempty-string"``,
            ``"timestamp"``, ``"string"``, ``"integer"``, ``"number"``, ``"boolean"``, ``"uuid"``, a type, a compiled
            pattern, or a predicate; one that raises does not hold.
        relations: Such as ``"$.a == $.b"``: must hold on both sides or on neither, ignored places included. Reported
            at the left path.
        max_differences: Most differences kept, and most ignored ones. More set ``truncated``.
        max_seconds: Limit of CPU time, in seconds or a `timedelta`, for the quick pass and again for the walk.
        max_nodes: Limit of values looked at in one comparison.

    Raises:
        ConfigError: An option is wrong; ``field`` names it.
    """
    given = {
        name: value for name, value in locals().items() if value is not _DEFAULTS[name] and value != _DEFAULTS[name]
    }
    seconds = max_seconds.total_seconds() if isinstance(max_seconds, timedelta) else max_seconds
    _check("max_differences", max_differences, int, 1)
    _check("max_nodes", max_nodes, int, 1)
    _check("max_seconds", seconds, (int, float), 0.001)
    plan = compile_plan(_DEFAULTS | given)
    return Structural(plan, given, (float(seconds), max_nodes), max_differences)


_DEFAULTS: Final[dict[str, Any]] = dict(structural.__kwdefaults__ or {})


def _check(option: str, value: Any, kind: Any, least: float) -> None:
    if isinstance(value, bool) or not isinstance(value, kind) or not value >= least:
        raise ConfigError(f"{option}: {value!r} is not a number of at least {least}.", field=option, value=value)
