"""Limits of a field, read from the metadata of its annotation and from the validators of attrs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import attrs
from attrs import evolve, frozen

_OPERATORS = {">=": "ge", ">": "gt", "<=": "le", "<": "lt"}


@frozen
class Limits:
    """
    What a value must be, besides its type.

    Attributes:
        low: The least value; ``above`` tells that it must be more than that. ``high`` and ``under`` likewise.
        multiple: It is a multiple of this.
        least: The least length, and ``most`` the largest.
        patterns: Regular expressions, each with whether the whole text must match.
        members: It is one of these.
        kinds: It is an instance of this type or one of these.
        checks: It passes all of these.
        optional: It may be ``None``, whatever else stands here.
        items: Limits of its items, or of its values if it is a mapping; ``keys``: of its keys.
    """

    low: Any = None
    above: bool = False
    high: Any = None
    under: bool = False
    multiple: Any = None
    least: int = 0
    most: float = math.inf
    patterns: tuple[tuple[Any, bool], ...] = ()
    members: Sequence[Any] | None = None
    kinds: Any = None
    checks: tuple[Callable[[Any], bool], ...] = ()
    optional: bool = False
    items: Limits | None = None
    keys: Limits | None = None

    def with_bound(self, name: str, bound: Any) -> Limits:
        """Add ``ge``, ``gt``, ``le`` or ``lt``; the tighter one of two holds."""
        if name in {"ge", "gt"}:
            if self.low is None or bound > self.low or (bound == self.low and name == "gt"):
                return evolve(self, low=bound, above=name == "gt")
        elif self.high is None or bound < self.high or (bound == self.high and name == "lt"):
            return evolve(self, high=bound, under=name == "lt")
        return self

    def inside(self, value: Any) -> bool:
        """Whether the bounds hold for a value that can be compared with them."""
        if self.low is not None and not (value > self.low if self.above else value >= self.low):
            return False
        return self.high is None or bool(value < self.high if self.under else value <= self.high)


FREE = Limits()


def of_metadata(limits: Limits, metadata: Iterable[Any]) -> Limits:
    """
    Add what stands in ``Annotated[type, ...]``, known by the names of its attributes: those of ``annotated_types``,
    and others that have the same ones. What has none of them says nothing about values.
    """
    for one in metadata:
        if not isinstance(one, type):
            limits = of_metadata(_of_one(limits, one), one.metadata if type(one).__name__ == "FieldInfo" else ())
    return limits


def _of_one(limits: Limits, one: Any) -> Limits:
    for name in ("ge", "gt", "le", "lt"):
        if (bound := getattr(one, name, None)) is not None:
            limits = limits.with_bound(name, bound)
    least, most = getattr(one, "min_length", None), getattr(one, "max_length", None)
    pattern, check = getattr(one, "pattern", None), getattr(one, "func", None)
    return evolve(
        limits,
        multiple=getattr(one, "multiple_of", None) or limits.multiple,
        least=max(limits.least, least or 0),
        most=limits.most if most is None else min(limits.most, most),
        patterns=(*limits.patterns, (pattern, False)) if isinstance(pattern, str) else limits.patterns,
        checks=(*limits.checks, check) if type(one).__name__ == "Predicate" and callable(check) else limits.checks,
    )


def of_validator(limits: Limits, validator: Any, attribute: attrs.Attribute[Any]) -> Limits:
    """
    Add what a validator of attrs demands. One that is not of attrs is left to the class, which refuses the value when
    it is built.
    """
    kind = type(validator)
    rule = _VALIDATORS.get(kind.__name__) if kind.__module__ in {"attr.validators", "attr._make"} else None
    return limits if rule is None else rule(limits, validator, attribute)


_Attribute: TypeAlias = "attrs.Attribute[Any]"


def _of_and(limits: Limits, validator: Any, attribute: _Attribute) -> Limits:
    for one in validator._validators:
        limits = of_validator(limits, one, attribute)
    return limits


def _of_optional(limits: Limits, validator: Any, attribute: _Attribute) -> Limits:
    return evolve(of_validator(limits, validator.validator, attribute), optional=True)


def _of_pattern(limits: Limits, validator: Any, attribute: _Attribute) -> Limits:
    pattern = validator.pattern, validator.match_func.__name__ == "fullmatch"
    return _of_check(evolve(limits, patterns=(*limits.patterns, pattern)), validator, attribute)


def _of_items(limits: Limits, validator: Any, attribute: _Attribute) -> Limits:
    items = of_validator(limits.items or FREE, validator.member_validator, attribute)
    return evolve(of_validator(limits, validator.iterable_validator, attribute), items=items)


def _of_mapping(limits: Limits, validator: Any, attribute: _Attribute) -> Limits:
    items = of_validator(limits.items or FREE, validator.value_validator, attribute)
    keys = of_validator(limits.keys or FREE, validator.key_validator, attribute)
    return evolve(of_validator(limits, validator.mapping_validator, attribute), items=items, keys=keys)


def _of_check(limits: Limits, validator: Any, attribute: _Attribute) -> Limits:
    def check(value: Any) -> bool:
        try:
            validator(None, attribute, value)
        except (ValueError, TypeError):
            return False
        return True

    return evolve(limits, checks=(*limits.checks, check))


_VALIDATORS: dict[str, Callable[[Limits, Any, _Attribute], Limits]] = {
    "_AndValidator": _of_and,
    "_OptionalValidator": _of_optional,
    "_NumberValidator": lambda limits, one, _: limits.with_bound(_OPERATORS[one.compare_op], one.bound),
    "_InValidator": lambda limits, one, _: evolve(limits, members=_members(one._original_options)),
    "_MinLengthValidator": lambda limits, one, _: evolve(limits, least=max(limits.least, one.min_length)),
    "_MaxLengthValidator": lambda limits, one, _: evolve(limits, most=min(limits.most, one.max_length)),
    "_InstanceOfValidator": lambda limits, one, _: evolve(limits, kinds=one.type),
    "_MatchesReValidator": _of_pattern,
    "_DeepIterable": _of_items,
    "_DeepMapping": _of_mapping,
    **dict.fromkeys(("_NotValidator", "_OrValidator", "_SubclassOfValidator", "_IsCallableValidator"), _of_check),
}


def _members(options: Any) -> Sequence[Any] | None:
    if isinstance(options, range | tuple | list):
        return options
    try:
        # Sorted, for the order of a set of texts changes from process to process.
        return sorted(options, key=repr) if isinstance(options, set | frozenset) else list(options)
    except TypeError:
        return None
