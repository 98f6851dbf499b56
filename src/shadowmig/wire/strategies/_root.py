"""Whole models: nodes that know how they come to an end."""

from __future__ import annotations

import math
from typing import Any

from shadowmig.errors import ConfigError
from shadowmig.wire.strategies._containers import Record
from shadowmig.wire.strategies._nodes import Node, Ref
from shadowmig.wire.strategies._source import Source


def settle(root: Node) -> bool:
    """Work out the height of every node below and including this one, and tell whether one goes down into itself."""
    nodes = {id(root): root}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        below = list(node.parts())
        if isinstance(node, Ref) and node.target is not None:
            below.append(node.target)
        for part in below:
            if id(part) not in nodes:
                nodes[id(part)] = part
                waiting.append(part)
    for node in nodes.values():
        node.height = math.inf if list(node.parts()) or isinstance(node, Ref) else 0
    changed = True
    while changed:
        changed = False
        for node in reversed(nodes.values()):
            height = node.measure()
            if height != node.height:
                node.height, changed = height, True
    return any(isinstance(node, Ref) for node in nodes.values())


class Root:
    """
    A whole model, ready to be drawn from.

    Args:
        name: What made it, for people.
        node: Its node.
        depth: How often it may go down into itself.

    Raises:
        ConfigError: It holds itself without end.
    """

    def __init__(self, name: str, node: Node, depth: int) -> None:
        self._name = name
        self._node = node
        self._depth = depth if settle(node) else 0
        if math.isinf(node.height):
            path = _endless(node)
            raise ConfigError(
                f"{path or 'the model'}: it holds itself without end.",
                remedy="Have it be optional, or empty, somewhere on its way.",
                field=path,
            )

    def __repr__(self) -> str:
        return self._name

    def draw(self, source: Source) -> Any:
        """Draw one value."""
        source.begin()
        # The lesser of two, for a deep value of a model with many branches is large.
        room = min(source.below(self._depth + 1), source.below(self._depth + 1)) if self._depth else 0
        return self._node.make(source, room)


def _endless(node: Node) -> str:
    """Name the way to the place where a model holds itself: the first of them, if there are several."""
    path: list[str] = []
    waiting, seen = [(node, path)], set()
    while waiting:
        node, path = waiting.pop()
        if isinstance(node, Ref):
            return ".".join(path)
        if id(node) not in seen and math.isinf(node.height):
            seen.add(id(node))
            slots = node.slots if isinstance(node, Record) else ()
            waiting += [(slot.node, [*path, slot.key]) for slot in slots if slot.needed]
            waiting += [(part, path) for part in node.parts()] if not slots else []
    return ".".join(path)
