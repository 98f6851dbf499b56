"""What the programs share: a migration whose books can be read, and one line of JSON as the result."""

import json
import sys
import time

from shadowmig import Difference, Migration
from shadowmig.engine import Breaker


class ServerTimeout(BaseException):
    """A server's own timeout."""


def compare(*, control, candidate):
    return [] if control == candidate else [Difference("$", "changed", control, candidate)]


def migration(**options):
    return Migration("program", **({"sinks": [lambda batch: None], "budget": 1.0} | options))


def read(owner, handler, candidate, **options):
    return owner.read(
        handler, candidate=candidate, **({"name": "get", "compare": compare, "breaker": Breaker(errors=2)} | options)
    )


def books(owner):
    """The verdicts of the one experiment, by name, without zeros."""
    summary = owner.stats().experiments["get"]
    return {verdict.name: count for verdict, count in summary.verdicts.items() if count}


def errors(owner):
    return dict(owner.stats().experiments["get"].errors)


def say(**facts):
    print(json.dumps(facts))
    sys.stdout.flush()


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()
