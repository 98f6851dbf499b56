"""What a walk is made of: nodes, which are their own way back to the root, and the differences found at them."""

from __future__ import annotations

from typing import Any

from shadowmig.compare._states import State
from shadowmig.compare.paths import render
from shadowmig.model import Kind

Node = tuple[Any, Any, Any, Any, State]
"""Control's content, the candidate's, the key below the parent, the parent node (``None`` at the root), the state."""

Raw = tuple[Any, Any, Kind, Any, Any, State, str]
"""A difference: the node it is in (``None`` at the root), the key there, its kind, both values, the state, a note."""


class Enough(Exception):
    """Ends a walk that has found what it can keep."""


def keys_of(parent: Node | None, key: Any) -> list[Any]:
    """The keys from the root to a key below a node; none if there is no node."""
    keys = []
    while parent is not None:
        keys.append(key)
        key, parent = parent[2], parent[3]
    keys.reverse()
    return keys


def path_of(parent: Node | None, key: Any) -> str:
    """The path of a key below a node; ``$`` if there is no node."""
    return render(keys_of(parent, key))
