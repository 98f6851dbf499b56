"""The small sinks, and the way into the room."""

import logging
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from attrs import evolve

import shadowmig.sinks
from shadowmig.errors import ConfigError
from shadowmig.model import Batch, Example, Finding, Summary
from shadowmig.sinks import Log, Memory
from shadowmig.sinks import log as log_module
from shadowmig.sinks._printable import cut, printable

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """A monotonic clock that stands still until told."""

    now = 0.0

    def __call__(self):
        return self.now


def finding(name="f", count=1, **more):
    """Make a finding."""
    return Finding(name, "m", "get", "$.a", "changed", ("int", "str"), count, AT, AT, **more)


def batch(*findings, source="p", **more):
    """Make a batch."""
    return Batch(source, "m", "", AT, findings, **more)


def test_log_line(caplog):
    """A new finding is one line that tells what, where, how often and an example."""
    example = Example("c1", AT, "$.a", control="1", candidate="'1'")
    Log()(batch(finding(count=2, proofs={"confirmed": 2}, examples=(example,))))
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("shadowmig", logging.WARNING)
    assert record.getMessage() == (
        "m/get: new finding f; changed at $.a (int -> str); 2 calls; proof: confirmed 2; "
        "control 1, candidate '1' in call c1"
    )


def test_log_tenfold(caplog):
    """A finding is told when it is new and each time its count is ten times what was told."""
    sink = Log("mine", level=logging.ERROR, per_minute=100)
    for count in (1, 2, 9, 10, 11, 99, 100, 5000):
        sink(batch(finding(count=count)))
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split("; ")[2] for line in lines] == ["1 call", "10 calls", "100 calls", "5000 calls"]
    assert ["new finding" in line for line in lines] == [True, False, False, False]
    assert {record.name for record in caplog.records} == {"mine"}


def test_log_rate(caplog):
    """Lines above the rate are left out, counted, told in the next line, and their findings get another chance."""
    clock = Clock()
    sink = Log(per_minute=2, clock=clock)
    sink(batch(*(finding(name) for name in "abcde")))
    assert len(caplog.records) == 2
    clock.now = 59.9
    sink(batch(finding("c")))
    assert len(caplog.records) == 2
    clock.now = 60
    sink(batch(finding("c"), finding("d")))
    assert caplog.records[2].getMessage().endswith("1 call (4 lines suppressed before this one)")
    assert caplog.records[3].getMessage().endswith("1 call")


def test_log_forges_no_lines(caplog):
    """No name, path or value makes a second line or an escape sequence."""
    nasty = "\nERROR root: forged \x1b[31m"
    example = Example(nasty, AT, nasty, nasty, nasty, nasty, nasty)
    names = dict.fromkeys(("migration", "experiment", "path", "fingerprint"), nasty)
    Log()(batch(evolve(finding(), **names, types=(nasty, nasty), proofs={nasty: 1}, examples=(example,))))
    (record,) = caplog.records
    assert record.getMessage().isprintable()


def test_log_lost(caplog):
    """That findings were not tracked is told at tenfold growth, within the rate."""
    sink = Log(per_minute=3)
    for lost in (0, 1, 5, 10, 200, 10_000):
        sink(batch(lost=lost))
    assert [record.getMessage() for record in caplog.records] == [
        f"m: too many kinds of findings; {lost} occurrences were not tracked" for lost in (1, 10, 200)
    ]


def test_log_memory_is_bounded(caplog, monkeypatch):
    """The findings remembered are bounded; a forgotten one is told anew."""
    monkeypatch.setattr(log_module, "_MAX_KNOWN", 2)
    sink = Log(per_minute=100)
    sink(batch(finding("a"), finding("b"), finding("c"), finding("a")))
    assert len(caplog.records) == 4


@pytest.mark.parametrize("options", [{"per_minute": 0}, {"level": "WARNING"}, {"level": True}])
def test_log_bad_options(options):
    """A wrong option is refused with its name."""
    with pytest.raises(ConfigError) as caught:
        Log(**options)
    assert caught.value.field in options


def test_memory():
    """The latest of each finding and summary is kept, for each source."""
    sink = Memory()
    sink(batch(finding("a", 1), finding("b", 1), summaries=(Summary("get", errors={"x": 1}),)))
    sink(batch(finding("a", 3), summaries=(Summary("get", errors={"x": 2}),)))
    sink(batch(finding("a", 7), source="q"))
    assert [(each.fingerprint, each.count) for each in sink.findings] == [("b", 1), ("a", 3), ("a", 7)]
    assert [each.errors for each in sink.summaries] == [{"x": 2}]
    assert (sink.batches, sink.dropped) == (3, 0)
    sink.clear()
    assert (sink.findings, sink.summaries, sink.batches) == ((), (), 0)


def test_memory_is_bounded():
    """Above its limit memory forgets what was updated longest ago, and counts that."""
    sink = Memory(max_findings=2)
    sink(batch(finding("a"), finding("b"), finding("a"), finding("c"), summaries=tuple(map(Summary, "xyz"))))
    assert [each.fingerprint for each in sink.findings] == ["a", "c"]
    assert [each.experiment for each in sink.summaries] == ["y", "z"]
    assert sink.dropped == 2
    with pytest.raises(ConfigError):
        Memory(max_findings=0)


def test_forked_child_starts_clean(caplog):
    """A forked child has its own state, even if a lock was held at the fork, and the parent's is untouched."""
    memory, log = Memory(), Log()
    memory(batch(finding()))
    log(batch(finding()))
    with memory._process.get().lock, log._process.get().lock:
        child = os.fork()
        if child == 0:
            memory(batch(finding("b")))
            log(batch(finding()))
            os._exit(0 if (memory.batches, len(caplog.records)) == (1, 2) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [each.fingerprint for each in memory.findings] == ["f"]


def test_names_of_the_room():
    """The names of the room are sorted, found at first use, and no others are."""
    assert shadowmig.sinks.__all__ == sorted(shadowmig.sinks.__all__)
    assert set(shadowmig.sinks.__all__) <= set(dir(shadowmig.sinks))
    assert all(callable(getattr(shadowmig.sinks, name)) for name in shadowmig.sinks.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = shadowmig.sinks.Nothing


def test_importing_is_cheap():
    """Importing sinks and findings, and writing no file, loads no package beyond attrs."""
    code = """
import sys, shadowmig.sinks, shadowmig.findings
from shadowmig.sinks import JsonLines, Log, Memory
print(sorted({"cattrs", "click", "rich", "deepdiff", "asyncio"} & sys.modules.keys()))
print(set(shadowmig.sinks.__all__) <= set(dir(shadowmig.sinks)))
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    printed = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert printed.stdout.split() == ["[]", "True"]


def test_printable():
    """Text becomes one line that prints anywhere, and says how much was cut."""
    assert printable("plain é 漢") == "plain é 漢"
    assert printable("a\n\x1b\ud800\u202e\U000e0001") == "a\\n\\x1b\\ud800\\u202e\\U000e0001"
    assert printable("x" * 100, 50) == "x" * 34 + "…+66 characters"
    assert len(printable("\n" * 10_000, 50)) <= 50
    assert printable("x" * 10_000, 1) == printable("x" * 10_000, 40)
    assert cut("abc", 40, 5, more=True) == "abc…+5 characters or more"
