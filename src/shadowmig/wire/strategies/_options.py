"""What a caller may choose of how values are drawn, and the strategies that stand in for parts of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from attrs import field, frozen
from hypothesis.strategies import SearchStrategy

from shadowmig.errors import ConfigError
from shadowmig.wire.strategies._containers import Items, Pairs
from shadowmig.wire.strategies._leaves import booleans, floats, integers, keys, nothing, texts
from shadowmig.wire.strategies._nodes import Changed, Node, Ref, Union, either, node_of
from shadowmig.wire.strategies._source import Source

NESTED = 60
"""How deep a document that is meant to be deep is."""


@frozen
class Options:
    """The options of `shadowmig.wire.strategies.values_of`, checked."""

    nan: bool = False
    surrogates: bool = False
    nanos: bool = False
    zones: bool = True
    naive: bool = False
    bits: int | None = None
    depth: int = field(default=5)
    longest: int = field(default=70_000)
    unknown_enums: bool = False
    unknown_fields: bool = False
    enums: str = "names"

    def __attrs_post_init__(self) -> None:
        if self.enums not in {"names", "numbers"}:
            raise ConfigError(
                f"enums is {self.enums!r}.", remedy="Use 'names' or 'numbers'.", field="enums", value=self.enums
            )
        for name in ("depth", "longest", "bits"):
            value = getattr(self, name)
            if name == "bits" and value is None:
                continue
            if type(value) is not int or value < (1 if name == "bits" else 0):
                raise ConfigError(f"{name} is {value!r}.", remedy="Give a whole number.", field=name, value=value)

    @property
    def span(self) -> tuple[int | None, int | None]:
        """The least and the largest int, where the model has no bounds of its own."""
        return (None, None) if self.bits is None else (-(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1)


class Overrides:
    """Strategies that stand in for parts of a model, by path or by type."""

    def __init__(self, given: Mapping[Any, Any] | None) -> None:
        self.paths: dict[str, SearchStrategy[Any]] = {}
        self.types: list[tuple[Any, Any, SearchStrategy[Any]]] = []
        """What a type is known by, the type as it was given, and what stands in for it."""
        self._left: list[Any] = []
        for key, strategy in (given or {}).items():
            if not isinstance(strategy, SearchStrategy):
                raise ConfigError(
                    f"overrides[{key!r}] is {type(strategy).__name__}.",
                    remedy="Give a strategy of hypothesis.",
                    field="overrides",
                    value=strategy,
                )
            if isinstance(key, str):
                self.paths[key] = strategy
            else:
                self.types.append((key, key, strategy))
            self._left.append(key)

    def at(self, path: str, kind: Any = None) -> Node | None:
        """Give what stands in for this part of the model."""
        if path in self.paths:
            self._use(path)
            return node_of(self.paths[path])
        for known, key, strategy in self.types:
            if known is kind or (kind is not None and known == kind):
                self._use(key)
                return node_of(strategy)
        return None

    def below(self, path: str) -> bool:
        """Whether any path leads into this part of the model, so that it is unlike other places of its type."""
        return any(one.startswith((f"{path}.", f"{path}[")) if path else True for one in self.paths)

    def _use(self, key: Any) -> None:
        self._left = [one for one in self._left if one is not key and one != key]

    def check_used(self, seen: set[str]) -> None:
        """
        Look for keys that led to nothing.

        Raises:
            ConfigError: There are some.
        """
        if self._left:
            known = ", ".join(sorted(path for path in seen if path)[:20])
            raise ConfigError(
                f"overrides[{self._left[0]!r}] leads to no part of the model.",
                remedy=f"Use a type that it has, or one of its paths: {known or '(none)'}.",
                field="overrides",
                value=self._left[0],
            )


def refuse(path: str, why: str, remedy: str = "") -> NoReturn:
    """Raise for a part of a model that no values can be made for."""
    raise ConfigError(
        f"{path or 'the model'}: {why}.",
        remedy=remedy or f"Correct the model, or give overrides={{{path or 'type'!r}: strategy}}.",
        field=path,
    )


def json_node(options: Options, *, ints: bool = True, deep: bool = True) -> Node:
    """
    Give any JSON document; its keys are text.

    Args:
        options: As for the whole model.
        ints: Whether whole numbers are ints; otherwise all numbers are floats.
        deep: Whether there is one that is nested deep, rarely.
    """
    scalars = [
        nothing(),
        booleans(),
        *([integers(*options.span)] if ints else []),
        floats(nan=options.nan),
        texts(surrogates=options.surrogates, longest=options.longest),
    ]
    again = Ref()
    rare = Changed(either(scalars), _nested) if deep else None
    names = keys(surrogates=options.surrogates)
    root = Union([*scalars, Items((), again, 0, 1000), Pairs(names, again, most=1000)], rare=rare)
    again.target = root
    return root


def _nested(value: Any, source: Source) -> Any:
    form = source.below(3)
    for level in range(NESTED):
        value = [value] if form == 0 or (form == 2 and level % 2) else {"a": value}
    return value
