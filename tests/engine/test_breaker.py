"""The breaker: shadowing stops for a while when it fails too often or costs the caller too much."""

from __future__ import annotations

import pytest

from shadowmig.engine import Breaker
from shadowmig.engine.breaker import CLOSED, OPEN, PROBING, BreakerState


def opened(pause: float = 10.0) -> BreakerState:
    """Give a breaker that has just opened, at time 0."""
    state = BreakerState(Breaker(errors=0.5, window=4, pause=pause))
    for good in (True, True, False, False):
        state.outcome(good, 0.0)
    assert state.state == OPEN
    return state


def test_it_opens_at_its_rate() -> None:
    """It opens when the share of failures among the latest calls reaches its rate, not before the window is full."""
    state = BreakerState(Breaker(errors=0.5, window=4))
    for good in (False, False, False):
        state.outcome(good, 0.0)
    assert state.state == CLOSED
    assert state.allow(0.0)
    state.outcome(True, 0.0)
    assert state.state == OPEN
    assert not state.allow(0.1)
    assert state.opened == 1


def test_old_outcomes_are_forgotten() -> None:
    """Failures that are further back than the window do not count."""
    state = BreakerState(Breaker(errors=0.5, window=4))
    for good in [False, True, True, True] * 5:
        state.outcome(good, 0.0)
    assert state.state == CLOSED


def test_a_good_probe_closes_it() -> None:
    """After the pause one call is let through; if it goes well, all are."""
    state = opened()
    assert not state.allow(9.9)
    assert state.allow(10.0)
    assert state.state == PROBING
    assert not state.allow(10.0)
    state.outcome(True, 10.1)
    assert state.state == CLOSED
    assert state.allow(10.1)


def test_a_bad_probe_opens_it_for_longer() -> None:
    """A failed probe doubles the pause, up to sixteen times the first."""
    state, now = opened(), 10.0
    pauses = []
    for _ in range(6):
        assert state.allow(now)
        state.outcome(False, now)
        pauses.append(next(step for step in (10, 20, 40, 80, 160, 320) if state.allow(now + step)))
        state.outcome(False, now)
        now += 10_000
    assert pauses == [20, 80, 160, 160, 160, 160]


def test_a_lost_probe_does_not_close_the_door_for_ever() -> None:
    """If the probe never reports, another one is let through a pause later."""
    state = opened()
    assert state.allow(10.0)
    assert not state.allow(19.0)
    assert state.allow(20.0)


def test_outcomes_while_open_do_not_matter() -> None:
    """Calls that were under way when it opened neither close nor prolong it."""
    state = opened()
    state.outcome(True, 1.0)
    state.outcome(False, 1.0)
    assert state.state == OPEN
    assert state.allow(10.0)


def test_a_hang_on_the_callers_path_opens_it_at_once() -> None:
    """One call that spent three times the limit in our own code is enough."""
    state = BreakerState(Breaker(overhead=0.01))
    assert state.spent(0.03, 0.0)
    assert state.state == OPEN
    assert not state.spent(0.03, 0.0)


def test_small_delays_add_up_in_a_row_only() -> None:
    """Delays above the limit open it when they come close together, not when quick calls lie between."""
    state = BreakerState(Breaker(overhead=0.01))
    assert [state.spent(0.011, 0.0) for _ in range(3)] == [False, False, True]
    state = BreakerState(Breaker(overhead=0.01))
    for _ in range(10):
        assert not state.spent(0.011, 0.0)
        for _ in range(20):
            assert not state.spent(0.001, 0.0)
    assert state.state == CLOSED


@pytest.mark.parametrize(
    ("field", "value"), [("errors", 0), ("errors", -1), ("window", 0), ("pause", 0), ("overhead", 0), ("overhead", -1)]
)
def test_wrong_limits_are_refused(field: str, value: float) -> None:
    """A limit out of range is refused when the breaker is built, by name."""
    with pytest.raises(ValueError, match=field):
        Breaker(**{field: value})  # type: ignore[arg-type]  # one of several fields
