"""
The walker: where two values differ, with rules, in one breadth-first pass.

Each pair of containers is a node ``(control, candidate, key, parent node, state)``, so a path exists only as links
until somebody prints it. Nothing here recurses over the data. Nodes are kept until the end: the links need them, and
an ``id`` may only be remembered of a value that is alive. Beyond `MEMO` nodes, and always for objects, a pair met
again is assumed equal where it was met (it is being compared already): that ends cycles and keeps shared subtrees
from growing exponentially.
"""

from __future__ import annotations

from typing import Any

from shadowmig.compare import _match
from shadowmig.compare._keys import plain_keys
from shadowmig.compare._maps import compare_maps
from shadowmig.compare._nodes import Enough, Node
from shadowmig.compare._pace import STEP
from shadowmig.compare._settle import Settler
from shadowmig.compare._states import State
from shadowmig.errors import CompareError

MEMO = 20_000
"""Nodes after which pairs are remembered; fewer cannot take long."""

_WIDE = 1_024


class Walk(Settler):
    """One comparison."""

    __slots__ = ()

    def run(self, control: Any, candidate: Any, at: State, key: Any = None, parent: Node | None = None) -> None:
        """Compare two values and all below."""
        try:
            if control is not candidate or not at.inline:
                self.settle(control, candidate, key, parent, at)
            self._drain()
        except Enough:
            self.truncated = True
        except RecursionError as error:
            raise CompareError("rules are nested too deeply to be compared.", remedy="Unnest unordered=.") from error
        except RuntimeError as error:
            raise CompareError(f"a value changed while it was compared: {error}") from error

    def _drain(self) -> None:
        nodes = self.nodes
        left = STEP
        for node in nodes:
            a, b, _, _, at = node
            left -= len(a) + 1
            if left < 0:
                left = self.pace.tick(STEP - left if len(a) <= _WIDE else STEP)
            if len(nodes) > MEMO and self._met(a, b, at):
                continue
            if type(a) is not dict:
                self._pairs(node)
            elif len(a) != len(b) or len(a) > _WIDE or not (plain_keys(a) and plain_keys(b)):
                compare_maps(self, node)
            elif at.uniform:
                self._uniform(node)
            else:
                self._ruled(node)

    def _uniform(self, node: Node) -> None:  # noqa: C901 - the usual case, written out for speed
        """A dict where one state holds for every key: the usual case, so it is written out."""
        a, b, _, _, at = node
        push = self.nodes.append
        mark = self._mark()
        try:
            for k, x in a.items():
                y = b[k]
                if x is y:
                    continue
                kind = type(x)
                if kind is type(y):
                    if kind is str or kind is int:
                        if x == y:
                            continue
                    elif kind is dict:
                        if x or y:
                            push((x, y, k, node, at))
                        continue
                    elif kind is list:
                        if len(x) == len(y):
                            if x:
                                push((x, y, k, node, at))
                            continue
                    elif kind is float and x == y and x:
                        continue
                self.settle(x, y, k, node, at)
        except KeyError:
            self._rewind(mark)
            compare_maps(self, node)

    def _ruled(self, node: Node) -> None:  # noqa: C901 - the usual case, written out for speed
        """A dict where rules name some of the keys."""
        a, b, _, _, at = node
        names, other = at.expand().names.get, at.other
        push = self.nodes.append
        mark = self._mark()
        try:
            for k, x in a.items():
                y = b[k]
                below = names(k, other)
                if below.inline:
                    if x is y:
                        continue
                    kind = type(x)
                    if kind is type(y):
                        if kind is str or kind is int:
                            if x == y:
                                continue
                        elif kind is float:
                            if x == y and x:
                                continue
                        elif (kind is dict or (kind is list and len(x) == len(y))) and not below.special:
                            if x or y:
                                push((x, y, k, node, below if below.ready else below.expand()))
                            continue
                self.settle(x, y, k, node, below)
        except KeyError:
            self._rewind(mark)
            compare_maps(self, node)

    def _mark(self) -> tuple[int, int, int, int]:
        return len(self.nodes), len(self.found), len(self.ignored), len(self.used)

    def _rewind(self, mark: tuple[int, int, int, int]) -> None:
        lists: tuple[list[Any], ...] = (self.nodes, self.found, self.ignored, self.used)
        for kept, size in zip(lists, mark, strict=True):
            del kept[size:]

    def _pairs(self, node: Node) -> None:  # noqa: C901 - the usual case, written out for speed
        """Two sequences of one length, element by element."""
        a, b, _, _, at = node
        at.expand()
        length = len(a)
        named = bool(at.fields)
        fixed = None if named or at.indexes else at.other
        both = zip(a, b)  # noqa: B905 - passing strict= costs more than the loop over a short list
        index = -1
        for x, y in both if length <= _WIDE else self.pace.through(both):
            index += 1
            if fixed is not None:
                below = fixed
            elif named:
                below = at.element(index, length, _match.named(self, x, y))
            else:
                below = at.item(index, length)
            if below.inline:
                if x is y:
                    continue
                kind = type(x)
                if kind is type(y):
                    if kind is str or kind is int:
                        if x == y:
                            continue
                    elif (kind is dict or (kind is list and len(x) == len(y))) and not below.special:
                        self.nodes.append((x, y, index, node, below if below.ready else below.expand()))
                        continue
            self.settle(x, y, index, node, below)
        if len(a) != length or len(b) != length:
            raise CompareError("a list changed while it was compared.")
