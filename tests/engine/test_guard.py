"""The guard: internal failures are counted and logged, never raised, except what was sent from outside."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable

import gevent
import pytest

from shadowmig.engine.guard import Guard, sent_from_outside


class ServerTimeout(BaseException):
    """What a server raises to end a request."""


def raised(function: Callable[[], object]) -> BaseException:
    """Give what a function raises."""
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def throw(error: BaseException) -> Callable[[], None]:
    """Build a function that raises."""

    def function() -> None:
        raise error

    return function


def test_failures_are_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Each kind of failure is logged once and counted each time, without the text of the error."""
    guard = Guard("get_comment", "stats()")
    with caplog.at_level(logging.WARNING, "shadowmig"):
        for _ in range(3):
            guard.absorb("sample", raised(throw(ValueError("a user's secret"))))
        guard.absorb("sample", raised(throw(KeyError("x"))))
        guard.count("confirm", "control raised")
    assert guard.counts == {"sample": 4, "confirm": 1}
    assert len(caplog.records) == 3
    assert "get_comment" in caplog.text
    assert "ValueError at" in caplog.text
    assert "secret" not in caplog.text


def test_a_broken_log_handler_harms_nobody() -> None:
    """A logging handler that raises does not get through."""

    class Broken(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            raise OSError("disk full")

    logger, handler = logging.getLogger("shadowmig"), Broken()
    logger.addHandler(handler)
    try:
        guard = Guard("x", "stats()")
        guard.count("sink", ValueError("x"))
    finally:
        logger.removeHandler(handler)
    assert guard.counts == {"sink": 1}


@pytest.mark.parametrize("error", [SystemExit(1), GeneratorExit(), ServerTimeout()])
def test_what_our_own_code_raises_is_absorbed(error: BaseException) -> None:
    """A BaseException that an operation raises by itself is absorbed."""
    guard = Guard("x", "stats()")
    guard.absorb("sample", raised(throw(error)))
    assert guard.counts == {"sample": 1}


def test_ctrl_c_goes_on() -> None:
    """``KeyboardInterrupt`` in the main thread is raised again."""
    with pytest.raises(KeyboardInterrupt):
        Guard("x", "stats()").absorb("sample", raised(throw(KeyboardInterrupt())))


def test_in_other_threads_nothing_is_sent() -> None:
    """Only the main thread gets signals; elsewhere even ``KeyboardInterrupt`` was raised by the code itself."""
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(sent_from_outside(KeyboardInterrupt())))
    thread.start()
    thread.join()
    assert answers == [False]


@pytest.mark.parametrize("as_method", [False, True])
def test_a_signal_handlers_exception_goes_on(as_method: bool) -> None:
    """What a signal handler raised while our operation ran is raised again, whatever its class."""

    class Worker:
        def handle(self, number: int, frame: object) -> None:
            raise ServerTimeout

    worker = Worker()

    def handle(number: int, frame: object) -> None:
        worker.handle(number, frame)

    def interrupted() -> None:
        os.kill(os.getpid(), signal.SIGALRM)
        time.sleep(5)

    before = signal.signal(signal.SIGALRM, worker.handle if as_method else handle)
    try:
        error = raised(interrupted)
        with pytest.raises(ServerTimeout):
            Guard("x", "stats()").absorb("sample", error)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_gevents_kills_and_timeouts_go_on() -> None:
    """A greenlet that is killed, or whose timeout fires, while our operation runs is not kept alive."""
    errors: list[BaseException] = []

    def operation() -> None:
        try:
            gevent.sleep(5)
        except BaseException as error:
            errors.append(error)

    greenlet = gevent.spawn(operation)
    gevent.sleep(0)
    greenlet.kill()
    with contextlib.suppress(gevent.Timeout), gevent.Timeout(0.001):
        errors.append(raised(lambda: gevent.sleep(5)))
    assert [type(error).__name__ for error in errors] == ["GreenletExit", "Timeout"]
    assert all(sent_from_outside(error) for error in errors)
