"""
Which calls are compared.

A sampler is any callable that takes a `Call` and returns a bool. It runs on the caller's path, so the ones here also
say which part of their decision is a plain draw (`split`): the wrapper makes that draw inline, and a call that loses
it costs nothing more.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from hashlib import blake2b
from typing import Any
from uuid import UUID

from shadowmig.errors import ConfigError
from shadowmig.model import Call
from shadowmig.protocols import Sampler

_random = random.Random()
"""Our own generator: drawing from the global one would change the numbers a service sees after ``random.seed``."""

draw: Callable[[], float] = _random.random

os.register_at_fork(after_in_child=_random.seed)  # else all children of a pre-fork server sample the same calls


class BaseSampler:
    """What samplers have in common: ``a & b`` takes the calls both take, ``a | b`` those that either takes."""

    def __call__(self, call: Call) -> bool:
        """Whether to compare this call."""
        rate, rest = self.split()
        return draw() < rate and (rest is None or rest(call))

    def split(self) -> tuple[float, Sampler | None]:
        """Give the share of calls to draw at random, and what decides about those drawn (``None``: take them all)."""
        return 1.0, self

    def __and__(self, other: Sampler) -> BaseSampler:
        return _Both(self, checked_sampler(other))

    def __or__(self, other: Sampler) -> BaseSampler:
        return _Either(self, checked_sampler(other))


class _Fraction(BaseSampler):
    def __init__(self, p: float) -> None:
        self._p = p

    def split(self) -> tuple[float, Sampler | None]:
        return self._p, None

    def __repr__(self) -> str:
        return {0.0: "never", 1.0: "always"}.get(self._p, f"fraction({self._p!r})")


class _Both(BaseSampler):
    def __init__(self, left: Sampler, right: Sampler) -> None:
        self._left, self._right = left, right

    def split(self) -> tuple[float, Sampler | None]:
        left_rate, left = split(self._left)
        right_rate, right = split(self._right)
        rests = [rest for rest in (left, right) if rest is not None]
        if not rests:
            return left_rate * right_rate, None
        if len(rests) == 1:
            return left_rate * right_rate, rests[0]
        first, second = rests
        return left_rate * right_rate, lambda call: first(call) and second(call)

    def __repr__(self) -> str:
        return f"({self._left!r} & {self._right!r})"


class _Either(BaseSampler):
    def __init__(self, left: Sampler, right: Sampler) -> None:
        self._left, self._right = left, right

    def __call__(self, call: Call) -> bool:
        return self._left(call) or self._right(call)

    def __repr__(self) -> str:
        return f"({self._left!r} | {self._right!r})"


class _Sticky(BaseSampler):
    def __init__(self, p: float, key: Callable[[Call], Any], salt: str) -> None:
        self._p, self._key, self._salt = p, key, salt.encode()[:16]
        self._threshold = int(Fraction(p) * 2**64)

    def __call__(self, call: Call) -> bool:
        digest = blake2b(stable_bytes(self._key(call)), digest_size=8, salt=self._salt).digest()
        return int.from_bytes(digest) < self._threshold

    def __repr__(self) -> str:
        return f"sticky({self._p!r}, key={self._key!r})"


class _Capped(BaseSampler):
    def __init__(self, sampler: Sampler, per_second: float, clock: Callable[[], float]) -> None:
        self._sampler, self._rate, self._clock = sampler, per_second, clock
        self._burst = max(1.0, per_second)
        self._tokens, self._at = self._burst, clock()
        self._lock = threading.RLock()
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.RLock()  # the parent's may have been held by a thread that does not exist here

    def _take(self) -> bool:
        with self._lock:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
            self._at = now
            if self._tokens < 1.0:
                return False
            self._tokens -= 1.0
            return True

    def split(self) -> tuple[float, Sampler | None]:
        rate, rest = split(self._sampler)
        return rate, lambda call: (rest is None or rest(call)) and self._take()

    def __repr__(self) -> str:
        return f"capped({self._sampler!r}, per_second={self._rate!r})"


def stable_bytes(key: Any) -> bytes:
    """
    Encode an entity key the same way in every process, Python version and host.

    Takes ``None``, bool, int, str, bytes, UUID, and tuples of these.

    Raises:
        TypeError: Another type, whose text or hash may differ between processes.
    """
    kind = type(key)  # exact types: a subclass may have a text or bytes of its own
    if kind is str and isinstance(key, str):
        return b"s" + key.encode("utf-8", "surrogatepass")
    if kind is int or kind is bool or key is None:
        return repr(key).encode()
    if kind is bytes and isinstance(key, bytes):
        return b"b" + key
    if kind is UUID and isinstance(key, UUID):
        return b"u" + key.bytes
    if kind is tuple:
        parts = [stable_bytes(part) for part in key]
        return b"t" + b"".join(b"%d:%b" % (len(part), part) for part in parts)
    raise TypeError(
        f"a sampling key must be None, bool, int, str, bytes, UUID or a tuple of these, not {kind.__name__}"
    )


def _share(value: object, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction) or not 0 <= value <= 1:
        raise ConfigError(f"{field} is {value!r}.", remedy="Use a number from 0 to 1.", field=field, value=value)
    return float(value)


def checked_sampler(sampler: Any) -> Sampler:
    """
    Check that this can be a sampler.

    Raises:
        ConfigError: It cannot be called; for a number the message names `fraction`.
    """
    if callable(sampler):
        checked: Sampler = sampler
        return checked
    raise ConfigError(
        f"sample is {sampler!r}, which cannot be called.",
        remedy="Use always, never, fraction(0.01), sticky(...), capped(...) or a function of the call.",
        field="sample",
        value=sampler,
    )


def split(sampler: Sampler) -> tuple[float, Sampler | None]:
    """Split any sampler into the share to draw at random and what decides about those drawn."""
    return sampler.split() if isinstance(sampler, BaseSampler) else (1.0, sampler)


always: BaseSampler = _Fraction(1.0)
"""Compare every call."""

never: BaseSampler = _Fraction(0.0)
"""Compare no call."""


def fraction(p: float) -> BaseSampler:
    """
    Compare each call with probability `p`, independently.

    Args:
        p: From 0 to 1. Exact to one part in 2**53, so 1e-6 means one call in a million.

    Raises:
        ConfigError: `p` is not a number from 0 to 1.
    """
    return _Fraction(_share(p, "p"))


def sticky(p: float, *, key: Callable[[Call], Any], salt: str = "") -> BaseSampler:
    """
    Compare all calls about the same share `p` of entities.

    The key's BLAKE2b hash decides, so every process, host and Python version picks the same entities, and raising `p`
    only adds to them.

    Args:
        p: Share of the entities, from 0 to 1.
        key: Gives a call's entity, as ``lambda call: call["comment_id"]``: None, bool, int, str, bytes, UUID or a tuple
            of these.
        salt: Another salt picks other entities (its first 16 bytes count).

    Raises:
        ConfigError: `p` is not a number from 0 to 1, or `key` cannot be called.
    """
    if not callable(key):
        raise ConfigError(f"key is {key!r}.", remedy="Use a function of the call.", field="key", value=key)
    return _Sticky(_share(p, "p"), key, salt)


def capped(sampler: Sampler, *, per_second: float, clock: Callable[[], float] = time.monotonic) -> BaseSampler:
    """
    Take what `sampler` takes, but no more than so many calls a second in this process (a token bucket).

    Args:
        sampler: Any sampler.
        per_second: Calls a second, above 0; up to one second's worth (at least one call) may come at once.
        clock: Seconds of a monotonic clock.

    Raises:
        ConfigError: `per_second` is not a positive finite number, or `sampler` cannot be called.
    """
    rate: object = per_second
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < float("inf"):
        raise ConfigError(f"per_second is {rate!r}.", remedy="Use a number above 0.", field="per_second", value=rate)
    return _Capped(checked_sampler(sampler), float(rate), clock)
