"""Ways through values however deep, without recursion: over all nodes, and into plain form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

_NODES: Final = 20_000
_DEPTH: Final = 10_000


def walk(value: Any, most: int = _NODES) -> Iterator[tuple[Any, int]]:
    """Give the nodes of a value in plain form with their depth, from the outside in; no more than ``most``."""
    todo = [(value, 0)]
    for node, depth in todo:
        yield node, depth
        room = most - len(todo)
        if room <= 0:
            continue
        if isinstance(node, Mapping):
            todo += [(each, depth + 1) for pair in list(node.items())[:room] for each in pair]
        elif isinstance(node, list | tuple):
            todo += [(each, depth + 1) for each in node[:room]]


def plainly(plain: Callable[[Any], Any], value: Any) -> Any:
    """
    Give the plain form of a value, also of lists and dicts that are nested too deep for recursion.

    Raises:
        RecursionError: It holds itself, or is nested some ten thousand levels deep.
    """
    try:
        return plain(value)
    except RecursionError:
        return _unrolled(plain, value)


def _unrolled(plain: Callable[[Any], Any], value: Any) -> Any:
    root: list[Any] = [None]
    todo: list[tuple[Any, Any, Any, int]] = [(root, 0, value, 0)]
    while todo:
        holder, key, node, depth = todo.pop()
        if depth > _DEPTH:
            raise RecursionError("the value holds itself, or is nested too deep")
        new: Any
        if type(node) is dict:
            new = dict.fromkeys(node)
            todo += [(new, each, below, depth + 1) for each, below in node.items()]
        elif type(node) in (list, tuple):
            new = [None] * len(node)
            todo += [(new, index, below, depth + 1) for index, below in enumerate(node)]
        else:
            new = plain(node)
        holder[key] = new
    return root[0]
