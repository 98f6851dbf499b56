"""Programs of their own for what cannot be tried inside a test: patched threads, forks, exits, loops, signals."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import shadowmig

PROGRAMS = Path(__file__).parent / "programs"
PATIENCE = 60
"""Seconds a program may take on a busy machine; each needs about one."""


def run(name, *args, code=0):
    """Run a program; gives what it said and what it wrote to standard error."""
    environment = os.environ | {"PYTHONPATH": str(Path(shadowmig.__file__).parent.parent), "PYTHONASYNCIODEBUG": "0"}
    done = subprocess.run(
        # From 3.12 on Python warns of any fork beside threads; that it goes well here is what is tested.
        [sys.executable, "-W", "ignore:This process:DeprecationWarning", str(PROGRAMS / f"{name}.py"), *map(str, args)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout or "null"), done.stderr


def test_gevent():
    """Under gevent calls are served and judged, and its timeouts and kills reach the greenlet they were meant for."""
    pytest.importorskip("gevent")
    facts, noise = run("gevent_patched")
    assert facts["served"]
    assert facts["flushed"]
    assert facts["first"] == {"MATCH": 50}
    assert facts["quick"]
    assert facts["caught"] == {
        "timeout": "Timeout",
        "server": "ServerTimeout",
        "exception": "swallowed",  # cannot be told from a socket timeout of the sampler's own
        "kill": "GreenletExit",
    }
    assert facts["closed"]
    assert "Traceback" not in noise


def test_prefork():
    """Children judge their own calls only, and the parent's are judged once, by the parent."""
    facts, noise = run("prefork")
    for child in facts["children"]:
        assert child["before"] == {"pending": 0, "books": {}, "threads": 1}
        assert child["values"]
        assert child["flushed"]
        assert child["books"] == {"MATCH": 5, "MISMATCH": 5}
        assert child["counts"] == [5]
        assert child["errors"] == {}
    assert len({source for child in facts["children"] for source in child["sources"]}) == 3
    assert facts["waiting"] == 20
    assert facts["flushed"]
    assert facts["books"] == {"MATCH": 10, "MISMATCH": 10}
    assert facts["sources"] == 1
    assert noise == ""


@pytest.mark.parametrize("how", ["full", "candidate hangs", "sink hangs", "close exits", "close hangs"])
def test_exit(how):
    """The end of a process is bounded, and its exit code is its own, whatever is queued or hangs."""
    _, noise = run("exit_full", 3, how, code=3)
    assert "Traceback" not in noise


def test_exit_by_exception():
    """A service that dies of an exception dies of that exception."""
    _, noise = run("exit_full", 0, "unhandled", code=1)
    assert noise.rstrip().endswith("LookupError: the service's own")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_loop_closed(loop):
    """Loops that end with checks pending end without noise, and nothing stays pending."""
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    facts, noise = run("loop_closed", loop)
    assert facts["values"] == ["hangs"] * 6 + ["differs"]
    assert facts["quick"]
    assert facts["drained"]
    assert facts["books"] == {"SKIPPED": 7}
    assert facts["closed"]
    assert noise == ""


@pytest.mark.parametrize("runner", ["threads", "tasks"])
def test_loop_survives(runner):
    """The loop of the service survives a candidate that exits, and every such call is a mismatch."""
    facts, noise = run("loop_killers", runner)
    assert facts["values"] == [0, 1, 2, 3, 4]
    assert facts["flushed"]
    assert facts["books"] == {"MISMATCH": 5}
    assert facts["closed"]
    assert noise == ""


PLACES = ("handler", "sample", "key", "argument", "extract", "value", "text", "candidate", "compare")
"""Where on the caller's path a signal arrives; the last two with `Inline`."""


@pytest.mark.parametrize(
    ("kind", "caught"), [("base", "ServerTimeout"), ("exception", "Mine"), ("interrupt", "KeyboardInterrupt")]
)
def test_signals(kind, caught):
    """What a signal sends to the caller reaches it, wherever it arrives on the caller's path."""
    facts, _ = run("signals", kind, *PLACES)
    good = {"caught": caught, "after": 2, "errors": {}, "closed": True}
    assert {place: fact for place, fact in facts.items() if fact != good} == {}
    assert tuple(facts) == PLACES
