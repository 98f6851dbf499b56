"""Samplers decide which calls are compared."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmig import Call, always, capped, fraction, never, sticky
from shadowmig.engine import sampling
from shadowmig.errors import ConfigError


def call(**kwargs: object) -> Call:
    """Build a call with these arguments."""
    return Call("1", "get", datetime.now(UTC), kwargs=kwargs)


def share(sampler: object, calls: int = 20_000) -> float:
    """Measure the share of calls a sampler takes."""
    one = call(id=1)
    return sum(bool(sampler(one)) for _ in range(calls)) / calls  # type: ignore[operator]  # it takes any callable


def test_always_and_never() -> None:
    """``always`` takes every call and ``never`` none."""
    assert (share(always, 100), share(never, 100)) == (1.0, 0.0)


def test_fraction_takes_its_share() -> None:
    """``fraction`` takes about its share of the calls."""
    assert share(fraction(0.25)) == pytest.approx(0.25, abs=0.03)


def test_fraction_is_exact_when_tiny() -> None:
    """A share of one in a million is drawn as exactly that, not rounded."""
    assert sampling.split(fraction(1e-6)) == (1e-6, None)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan"), "0.1", None, True])
def test_a_wrong_share_is_refused(p: object) -> None:
    """A share that is no number from 0 to 1 is refused by name."""
    with pytest.raises(ConfigError, match=r"p is .*number from 0 to 1") as caught:
        fraction(p)  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.field == "p"


def test_drawing_leaves_the_services_own_random_numbers_alone() -> None:
    """A service that seeds ``random`` gets the numbers it would get without us."""
    random.seed(7)
    expected = [random.random() for _ in range(5)]
    random.seed(7)
    share(fraction(0.5), 100)
    assert [random.random() for _ in range(5)] == expected


def test_children_draw_other_numbers() -> None:
    """Two forked children do not sample the very same calls."""

    def draws() -> bytes:
        receive, send = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(send, repr([sampling.draw() for _ in range(3)]).encode())
            os._exit(0)
        os.waitpid(pid, 0)
        os.close(send)
        with os.fdopen(receive, "rb") as pipe:
            return pipe.read()

    assert draws() != draws()


KEYS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.binary()
    | st.uuids()
    | st.tuples(st.integers(), st.text())
)


@given(KEYS, st.floats(0, 1), st.floats(0, 1))
def test_sticky_is_monotonous(key: object, p: float, q: float) -> None:
    """An entity that is sampled at a share stays sampled at any larger one."""
    small, large = sorted([p, q])
    one = call(id=key)
    if sticky(small, key=lambda c: c["id"])(one):
        assert sticky(large, key=lambda c: c["id"])(one)


@given(KEYS)
def test_sticky_extremes(key: object) -> None:
    """A share of 1 takes every entity and a share of 0 none."""
    assert sticky(1.0, key=lambda c: c["id"])(call(id=key))
    assert not sticky(0.0, key=lambda c: c["id"])(call(id=key))


def test_sticky_takes_its_share_of_the_entities() -> None:
    """About the given share of entities is taken."""
    sampler = sticky(0.1, key=lambda c: c["id"])
    assert sum(sampler(call(id=n)) for n in range(10_000)) == pytest.approx(1000, abs=150)


def test_sticky_is_the_same_in_every_process() -> None:
    """Another process, with another hash seed, picks the same entities."""
    program = (
        "from shadowmig import sticky, Call; from datetime import datetime, UTC\n"
        "s = sticky(0.3, key=lambda c: c['id'])\n"
        "print([n for n in range(50) if s(Call('1', 'e', datetime.now(UTC), kwargs={'id': f'k{n}'}))])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    sampler = sticky(0.3, key=lambda c: c["id"])
    here = [n for n in range(50) if sampler(call(id=f"k{n}"))]
    assert outputs == {f"{here}\n".encode()}


def test_sticky_picks_known_entities() -> None:
    """The entities picked are part of the contract: they never change between versions."""
    sampler = sticky(0.2, key=lambda c: c["id"])
    keys = [*range(20), *(f"t1_{n}" for n in range(20)), UUID(int=5), b"raw", (1, "a"), None, True]
    picked = [key for key in keys if sampler(call(id=key))]
    assert picked == [2, 6, 17, 18, "t1_16", True]


def test_salt_picks_other_entities() -> None:
    """Another salt gives an independent choice."""
    one, two = (sticky(0.5, key=lambda c: c["id"], salt=salt) for salt in ("a", "b"))
    assert any(one(call(id=n)) != two(call(id=n)) for n in range(50))


def test_keys_that_differ_between_processes_are_refused() -> None:
    """A key whose text or hash is not stable is an error, not a silent choice."""
    with pytest.raises(TypeError, match="must be None, bool, int"):
        sticky(0.5, key=lambda c: c["id"])(call(id=object()))


def test_equal_looking_keys_are_different_entities() -> None:
    """A text, its bytes, a number and a tuple of parts are not confused with one another."""
    keys: list[object] = ["1", 1, b"1", ("1",), (("1",),), ("1", ""), ("", "1"), True, None, "None"]
    assert len({sampling.stable_bytes(key) for key in keys}) == len(keys)


def test_capped_takes_no_more_than_its_rate() -> None:
    """A token bucket lets one second's worth through at once, and then so many a second."""
    now = [0.0]
    sampler = capped(always, per_second=10, clock=lambda: now[0])
    assert sum(sampler(call()) for _ in range(50)) == 10
    now[0] = 0.5
    assert sum(sampler(call()) for _ in range(50)) == 5
    now[0] = 100.0
    assert sum(sampler(call()) for _ in range(50)) == 10


def test_a_slow_cap_lets_single_calls_through() -> None:
    """Below one a second, calls still come through, one at a time."""
    now = [0.0]
    sampler = capped(always, per_second=0.1, clock=lambda: now[0])
    assert [sampler(call()) for _ in range(3)] == [True, False, False]
    now[0] = 10.0
    assert sampler(call())


@pytest.mark.parametrize("rate", [0, -1, float("inf"), float("nan"), "5", True])
def test_a_wrong_cap_is_refused(rate: object) -> None:
    """A cap that is no positive number is refused by name."""
    with pytest.raises(ConfigError, match="per_second is"):
        capped(always, per_second=rate)  # type: ignore[arg-type]  # wrong on purpose


def test_samplers_compose() -> None:
    """``&`` takes what both take, ``|`` what either takes, and a plain function joins in."""
    even = sticky(1.0, key=lambda c: c["id"])
    assert share(fraction(0.5) & fraction(0.5)) == pytest.approx(0.25, abs=0.03)
    assert share(fraction(0.5) | fraction(0.5)) == pytest.approx(0.75, abs=0.03)
    assert share(even & (lambda c: c["id"] == 1), 10) == 1.0
    assert share(even & (lambda c: c["id"] == 2), 10) == 0.0
    assert share(never | (lambda c: True), 10) == 1.0
    assert share(fraction(1.0) & even & (lambda c: False), 10) == 0.0


def test_draws_are_made_before_functions_are_asked() -> None:
    """Of a composed sampler the engine draws the plain shares first, so that most calls ask nobody."""
    rate, rest = sampling.split(fraction(0.5) & capped(fraction(0.1), per_second=5))
    assert rate == pytest.approx(0.05)
    assert rest is not None
    assert sampling.split(fraction(0.5) & fraction(0.5)) == (0.25, None)
    own = lambda c: True  # noqa: E731 - identity matters here
    assert sampling.split(own) == (1.0, own)


def test_what_cannot_be_called_is_refused() -> None:
    """A number given as a sampler gets an error that names ``fraction``."""
    with pytest.raises(ConfigError, match=r"fraction\(0.01\)"):
        sampling.checked_sampler(0.01)
    with pytest.raises(ConfigError, match="key is 5"):
        sticky(0.5, key=5)  # type: ignore[arg-type]  # wrong on purpose


def test_samplers_say_what_they_are() -> None:
    """Their text is what one would write to get them."""
    assert [repr(sampler) for sampler in (always, never, fraction(0.1))] == ["always", "never", "fraction(0.1)"]
    assert repr(capped(always & never | fraction(0.5), per_second=2)) == (
        "capped(((always & never) | fraction(0.5)), per_second=2.0)"
    )
    assert repr(sticky(0.5, key=len)) == "sticky(0.5, key=<built-in function len>)"  # type: ignore[arg-type]  # any callable is a key


def test_a_cap_survives_a_fork() -> None:
    """A forked child can use a capped sampler whose lock was held in the parent."""
    sampler = capped(always, per_second=5)
    sampler._lock.acquire()  # type: ignore[attr-defined]  # as another thread of the parent would
    pid = os.fork()
    if pid == 0:
        os._exit(0 if sampler(call()) else 1)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
