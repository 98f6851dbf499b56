"""A signal arrives while the handler runs, or while our code does: what its handler raises must reach the caller."""

import os
import signal
import sys
import threading
import time

from _common import ServerTimeout, errors, migration, read, say

from shadowmig.engine import Inline


class Mine(Exception):
    """A timeout that is an ordinary exception, as job queues use."""


kinds = {"base": ServerTimeout, "exception": Mine, "interrupt": KeyboardInterrupt}
kind = sys.argv[1]
if kind != "interrupt":

    def on_alarm(number, frame):
        raise kinds[kind]("from a signal")

    signal.signal(signal.SIGALRM, on_alarm)
else:  # a shell has its background jobs ignore it, and their children too
    signal.signal(signal.SIGINT, signal.default_int_handler)

state = {"where": "", "done": False}


def dawdle(here):
    """If this is the place, be interrupted here: by an alarm, or as by Ctrl-C."""
    if state["where"] != here or state["done"] or threading.current_thread() is not threading.main_thread():
        return
    state["done"] = True
    os.kill(os.getpid(), signal.SIGINT if kind == "interrupt" else signal.SIGALRM)
    for _ in range(1000):
        time.sleep(0.01)


class Slow:
    def __init__(self, here):
        self.here = here

    def __reduce__(self):
        dawdle(self.here)
        return Slow, (self.here,)


class Text(Exception):
    def __str__(self):
        dawdle("text")
        return "text"


def hook(here, answer):
    def run(value=None, **_):
        dawdle(here)
        return value if answer is None else answer

    return run


def handler(x):
    dawdle("handler")
    if state["where"] == "text":
        raise Text
    return Slow("value") if state["where"] == "value" else x


def candidate(x):
    dawdle("candidate")
    return x


def trial(where):
    owner = migration(runner=Inline() if where in ("candidate", "compare") else None)
    options = {"sample": hook("sample", answer=True), "key": hook("key", "k"), "extract": hook("extract", None)}
    get = read(owner, handler, candidate, compare=hook("compare", []), **options)
    state.update(where=where, done=False)
    try:
        get(Slow("argument") if where == "argument" else 1)
        caught = "nothing"
    except BaseException as error:
        caught = type(error).__name__
    state["where"] = ""
    return {"caught": caught, "after": get(2), "errors": errors(owner), "closed": owner.close(10)}


say(**{where: trial(where) for where in sys.argv[2:]})
