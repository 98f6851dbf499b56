"""The fields of attrs classes, dataclasses, typed dicts and named tuples, in one form."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Iterator
from typing import Any

import attrs
from attrs import frozen

from shadowmig.wire.strategies._limits import FREE, Limits, of_validator


@frozen
class Field:
    """
    One field.

    Attributes:
        name: As it is spoken of.
        key: As it is given: the name of the argument or of the member.
        kind: Its annotation.
        needed: Whether it must be given.
        limits: What its validators demand.
    """

    name: str
    key: str
    kind: Any
    needed: bool
    limits: Limits = FREE


def is_typed_dict(kind: Any) -> bool:
    """Whether it is a typed dict, of whichever package."""
    return isinstance(kind, type) and issubclass(kind, dict) and hasattr(kind, "__required_keys__")


def is_record(kind: Any) -> bool:
    """Whether it is a class whose fields are known."""
    if not isinstance(kind, type):
        return False
    named = issubclass(kind, tuple) and hasattr(kind, "_fields")
    return attrs.has(kind) or dataclasses.is_dataclass(kind) or is_typed_dict(kind) or named


def fields_of(kind: Any, path: str) -> list[Field]:
    """Give the fields that are given to make a value of such a class."""
    hints = _hints(kind)
    if attrs.has(kind):
        return list(_of_attrs(kind, hints))
    if dataclasses.is_dataclass(kind):
        return list(_of_dataclass(kind, hints))
    if is_typed_dict(kind):
        return list(_of_typed_dict(kind, hints))
    defaults = kind._field_defaults
    return [Field(name, name, hints.get(name, Any), name not in defaults) for name in kind._fields]


def _hints(kind: Any) -> dict[str, Any]:
    """Resolve what can be: where one name is unknown, annotations stay as they are written, to be refused by path."""
    try:
        # With its own name, so that a class inside a function may speak of itself.
        return typing.get_type_hints(kind, localns={kind.__name__: kind}, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError):
        return _one_by_one(kind)


def _one_by_one(kind: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        for name, hint in inspect.get_annotations(base).items():
            only = type("Only", (), {"__annotations__": {name: hint}, "__module__": base.__module__})
            try:
                found |= typing.get_type_hints(only, localns={kind.__name__: kind}, include_extras=True)
            except (NameError, TypeError, AttributeError, SyntaxError):
                found[name] = hint
    return found


def _of_attrs(kind: Any, hints: dict[str, Any]) -> Iterator[Field]:
    for one in attrs.fields(kind):
        if one.init:
            # attrs.resolve_types may know better than the module does.
            hint = hints.get(one.name, one.type)
            hint = one.type if isinstance(hint, str) and one.type is not None else hint
            limits = FREE if one.validator is None else of_validator(FREE, one.validator, one)
            yield Field(
                one.name, one.alias or one.name, Any if hint is None else hint, one.default is attrs.NOTHING, limits
            )


def _of_dataclass(kind: Any, hints: dict[str, Any]) -> Iterator[Field]:
    for one in kind.__dataclass_fields__.values():
        hint = hints.get(one.name, one.type)
        given = isinstance(hint, dataclasses.InitVar)
        if given:
            hint = hint.type
        if typing.get_origin(hint) is typing.ClassVar or hint is typing.ClassVar or not one.init:
            continue
        needed = one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
        yield Field(one.name, one.name, hint, needed)


def _of_typed_dict(kind: Any, hints: dict[str, Any]) -> Iterator[Field]:
    for name, hint in hints.items():
        # Of annotations that are kept as text, the class itself does not know which of them say NotRequired.
        wrappers = set(_wrappers(hint))
        needed = "Required" in wrappers or ("NotRequired" not in wrappers and name in kind.__required_keys__)
        yield Field(name, name, hint, needed)


def _wrappers(hint: Any) -> Iterator[str]:
    while (origin := typing.get_origin(hint)) is not None:
        if origin is not typing.Annotated:
            name = getattr(origin, "_name", None)
            if name not in {"Required", "NotRequired", "ReadOnly"}:
                return
            yield name
        hint = typing.get_args(hint)[0]
