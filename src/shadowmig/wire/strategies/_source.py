"""
Where the choices behind a drawn value come from: hypothesis, which can shrink them, or a plain random generator.

Nodes (`strategies._nodes`) ask a `Source` for every choice, so one description of a model serves both: tests
that shrink, and samples of a hundred thousand values.
"""

from __future__ import annotations

import contextlib
import copy
import math
import random
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NoReturn, TypeVar

from hypothesis import HealthCheck, Phase, Verbosity, given, reject, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from shadowmig.errors import ConfigError

T = TypeVar("T")

BOLD: Final = (1 / 16, 1 / 4, 5 / 8)
"""How likely an edge is, at each place of one value: a bold value holds many at once, a calm one shows one alone."""

SPARE: Final = 24
"""How often one value may go down into recursive models, all branches together."""

POOL: Final = 500
"""How many values of a strategy that is not ours are drawn for a sample, to be picked from."""

_COMMON: Final = (
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _-.,:;!?'\"/\\<>&()[]{}@#%+*=~\n\t" * 4
    + "\u00e4\u00e9\u00df\u0142\u03b1\u03c9\u0436\u05d0\u0639\u0e01\u4e2d\u6587\uac00\u00a0\u0301\U0001f600"
)


class Source(ABC):
    """Gives choices. Where a choice can be made simpler, lower numbers and False are the simpler ones."""

    bold: float = BOLD[1]
    spare: int = SPARE
    tries: int = 1
    """How many values are drawn before one that a check refuses is given up."""

    def begin(self) -> None:
        """Start a value: decide how bold it is."""
        self.bold = BOLD[self.below(len(BOLD))]
        self.spare = SPARE

    def edgy(self) -> bool:
        """Whether an edge is drawn here."""
        return self.chance(self.bold)

    def pick(self, options: Sequence[T]) -> T:
        """Give one of them, all equally likely."""
        return options[self.below(len(options))]

    @abstractmethod
    def below(self, count: int) -> int:
        """Give an int from 0 to ``count - 1``, all equally likely."""

    @abstractmethod
    def chance(self, odds: float) -> bool:
        """Give True that often."""

    @abstractmethod
    def between(self, low: int, high: int) -> int:
        """Give an int, both ends included, of any magnitude."""

    @abstractmethod
    def floating(self, low: float, high: float, *, width: int) -> float:
        """Give a finite float of 32 or 64 bits, both ends included."""

    @abstractmethod
    def text(self, low: int, high: int, *, surrogates: bool) -> str:
        """Give a text of so many code points."""

    @abstractmethod
    def binary(self, low: int, high: int) -> bytes:
        """Give so many bytes."""

    @abstractmethod
    def foreign(self, strategy: st.SearchStrategy[Any]) -> Any:
        """Give a value of a strategy that somebody else made."""

    @abstractmethod
    def give_up(self, path: str, why: str) -> NoReturn:
        """End this value: so many were refused that there may be none."""


class DrawSource(Source):
    """Choices of hypothesis, inside a test."""

    tries = 8

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw

    def below(self, count: int) -> int:
        return int(self._draw(st.integers(0, count - 1)))

    def chance(self, odds: float) -> bool:
        return int(self._draw(st.integers(0, 63))) >= 64 * (1 - odds)

    def between(self, low: int, high: int) -> int:
        return int(self._draw(st.integers(low, high)))

    def floating(self, low: float, high: float, *, width: int) -> float:
        return float(self._draw(_floats(low, high, width)))

    def text(self, low: int, high: int, *, surrogates: bool) -> str:
        return str(self._draw(_texts(low, high, surrogates)))

    def binary(self, low: int, high: int) -> bytes:
        return bytes(self._draw(st.binary(min_size=low, max_size=high)))

    def foreign(self, strategy: st.SearchStrategy[Any]) -> Any:
        return self._draw(strategy)

    def give_up(self, path: str, why: str) -> NoReturn:
        reject()


@lru_cache(maxsize=512)
def _texts(low: int, high: int, surrogates: bool) -> st.SearchStrategy[str]:
    letters = st.characters() if surrogates else st.characters(codec="utf-8")
    return st.text(letters, min_size=low, max_size=high)


@lru_cache(maxsize=512)
def _floats(low: float, high: float, width: int) -> st.SearchStrategy[float]:
    bits: Any = width
    return st.floats(low, high, allow_nan=False, allow_infinity=False, width=bits)


class RandomSource(Source):
    """
    Choices of Python's own generator: many times quicker, and nothing is shrunk.

    Args:
        seed: The same one gives the same values.
    """

    tries = 1000

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._generator = random.Random(seed)  # noqa: S311 - test data is no secret
        self._random = self._generator.random
        self._pools: dict[int, tuple[st.SearchStrategy[Any], list[Any]]] = {}

    def below(self, count: int) -> int:
        return int(self._random() * count)

    def chance(self, odds: float) -> bool:
        return self._random() < odds

    def between(self, low: int, high: int) -> int:
        if high - low < 256:
            return low + int(self._random() * (high - low + 1))
        start = min(max(low, 0), high)
        down, up = start - low, high - start
        span = down if up == 0 or (down and self._random() < 0.5) else up
        step = self._generator.getrandbits(int(self._random() * span.bit_length()) + 1) % (span + 1)
        return start - step if span is down else start + step

    def floating(self, low: float, high: float, *, width: int) -> float:
        style = int(self._random() * 3)
        if style == 0:
            found = float(self.between(-1000, 1000))
        elif style == 1:
            found = round((self._random() - 0.5) * 10 ** (1 + int(self._random() * 9)), 1 + int(self._random() * 4))
        else:
            found = struct.unpack("<d", self._generator.randbytes(8))[0]
        if width == 32:
            found = _narrow(found)
        if low <= found <= high:
            return found
        # Halves, for the distance of the ends may be more than a float holds.
        found = 2 * (low / 2 + (high / 2 - low / 2) * self._random())
        return min(max(_narrow(found) if width == 32 else found, low), high)

    def text(self, low: int, high: int, *, surrogates: bool) -> str:
        size = low + int(self._random() * min(high - low + 1, 13))
        if self._random() < 7 / 8:
            return "".join(self._generator.choices(_COMMON, k=size))
        points = [int(self._random() * 0x110000) >> (8 if self._random() < 0.7 else 0) for _ in range(size)]
        return "".join(chr(one if surrogates or not 0xD800 <= one < 0xE000 else one - 0x800) for one in points)

    def binary(self, low: int, high: int) -> bytes:
        return self._generator.randbytes(low + int(self._random() * min(high - low + 1, 13)))

    def foreign(self, strategy: st.SearchStrategy[Any]) -> Any:
        if id(strategy) not in self._pools:
            # Kept with its strategy, so that no other object can come to have its id.
            seed = self._seed + len(self._pools)
            self._pools[id(strategy)] = strategy, by_hypothesis(strategy, POOL, seed)
        # A copy, for a value that is handed out may be changed by who has it.
        return copy.deepcopy(self.pick(self._pools[id(strategy)][1]))

    def give_up(self, path: str, why: str) -> NoReturn:
        raise ConfigError(
            f"{path or 'the model'}: {self.tries} values were drawn, and all were refused ({why}).",
            remedy="Give a strategy for it by overrides={path: strategy}.",
            field=path,
        )


def _narrow(number: float) -> float:
    try:
        found: float = struct.unpack("<f", struct.pack("<f", number))[0]
    except OverflowError:
        return 0.0
    return found if math.isfinite(found) else 0.0


def by_hypothesis(strategy: st.SearchStrategy[Any], count: int, seed: int) -> list[Any]:
    """
    Run hypothesis over a strategy and give what it drew: different choices each time, so at most ``count`` values.

    Raises:
        ConfigError: It drew none.
    """
    found: list[Any] = []

    @seeded(seed)
    @settings(
        max_examples=count,
        database=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        deadline=None,
        verbosity=Verbosity.quiet,
        backend="hypothesis",
    )
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    with contextlib.suppress(Unsatisfiable):
        collect()
    if not found:
        raise ConfigError(f"{strategy!r} gives no values.", remedy="Filter less.", field="strategy", value=strategy)
    return found
