"""
Models as trees of nodes, each of which makes a value from a `Source`'s choices.

``room`` is how often a value may still go down into a recursive model. Where there is too little of it, a node takes
the way that ends: the empty list, the left-out field, the alternative that needs least.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from attrs import define, field

from shadowmig.wire.strategies._source import Source

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

RARE = 1 / 48


class Node:
    """A part of a model."""

    height: float = 0
    """How often any value of it must at least go down into a recursive model; infinite if there is no end."""

    def make(self, source: Source, room: int) -> Any:
        """Make one value."""
        raise NotImplementedError

    def parts(self) -> Iterable[Node]:
        """Name the nodes it makes use of."""
        return ()

    def measure(self) -> float:
        """Work out its height by those of its parts."""
        return 0


@define(eq=False)
class Leaf(Node):
    """A single value: one of the edges, or a calm one."""

    edges: Sequence[Any]
    calm: Callable[[Source], Any]

    def make(self, source: Source, room: int) -> Any:
        if self.edges and source.edgy():
            return source.pick(self.edges)
        return self.calm(source)


@define(eq=False)
class Choice(Node):
    """One of some values, as they are."""

    options: Sequence[Any]

    def make(self, source: Source, room: int) -> Any:
        return source.pick(self.options)


@define(eq=False)
class Foreign(Node):
    """What a strategy gives that somebody else made."""

    strategy: SearchStrategy[Any]

    def make(self, source: Source, room: int) -> Any:
        return source.foreign(self.strategy)


KNOWN: WeakKeyDictionary[SearchStrategy[Any], Node] = WeakKeyDictionary()
"""The nodes of strategies that were made here: inside of other models they are drawn as what they are."""


def node_of(strategy: SearchStrategy[Any]) -> Node:
    """Give the node of any strategy."""
    return KNOWN.get(strategy) or Foreign(strategy)


@define(eq=False)
class Changed(Node):
    """A node's value, made into something else."""

    node: Node
    change: Callable[[Any, Source], Any]

    def make(self, source: Source, room: int) -> Any:
        return self.change(self.node.make(source, room), source)

    def parts(self) -> Iterable[Node]:
        return (self.node,)

    def measure(self) -> float:
        return self.node.height


@define(eq=False)
class Checked(Node):
    """A node's values that pass a check."""

    node: Node
    check: Callable[[Any], bool]
    path: str
    why: str

    def make(self, source: Source, room: int) -> Any:
        for _ in range(source.tries):
            value = self.node.make(source, room)
            if self.check(value):
                return value
        source.give_up(self.path, self.why)

    def parts(self) -> Iterable[Node]:
        return (self.node,)

    def measure(self) -> float:
        return self.node.height


@define(eq=False)
class Ref(Node):
    """The place where a model goes down into itself."""

    target: Node | None = None
    height: float = math.inf

    def make(self, source: Source, room: int) -> Any:
        assert self.target is not None
        source.spare -= 1
        return self.target.make(source, room - 1 if source.spare > 0 else 0)

    def measure(self) -> float:
        assert self.target is not None
        return 1 + self.target.height


@define(eq=False)
class Union(Node):
    """One of several alternatives, the simplest first; ``None`` is one of four at most."""

    options: Sequence[Node]
    rare: Node | None = None
    height: float = math.inf
    _highest: float = field(default=math.inf, init=False)

    def make(self, source: Source, room: int) -> Any:
        if self.rare is not None and source.edgy() and source.chance(RARE):
            return self.rare.make(source, room)
        if self._highest <= room:
            return source.pick(self.options).make(source, room)
        fit = [option for option in self.options if option.height <= room]
        if not fit:
            fit = [option for option in self.options if option.height == self.height]
        return source.pick(fit).make(source, room)

    def parts(self) -> Iterable[Node]:
        return self.options if self.rare is None else [*self.options, self.rare]

    def measure(self) -> float:
        heights = [option.height for option in self.options]
        self._highest = max(heights)
        return min(heights)


def _options_of(node: Node) -> Sequence[Node]:
    return node.options if isinstance(node, Union) and node.rare is None else [node]


def either(options: Sequence[Node]) -> Node:
    """Give the union of some nodes, or the only one."""
    flat = [part for option in options for part in _options_of(option)]
    flat.sort(key=lambda node: not isinstance(node, Choice))
    nothing = [node for node in flat if isinstance(node, Choice) and list(node.options) == [None]]
    others = [node for node in flat if node not in nothing]
    if nothing and others:
        return Union([nothing[0], *others * (3 if len(others) == 1 else 1)])
    return flat[0] if len(flat) == 1 or not others else Union(flat)
