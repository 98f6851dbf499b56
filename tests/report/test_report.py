"""Reports: every fact is there, no text of traffic acts, and 80 columns are enough."""

import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from shadowmig.model import Example, Finding, RuleUse, Stage, Summary, Verdict
from shadowmig.report._numbers import percent
from shadowmig.report.jsonable import to_jsonable
from shadowmig.report.terminal import print_report, sentence
from shadowmig.sinks.jsonl import Skipped

AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
NASTY = "\x1b[31m[bold red]x[/] :smile: \x07\r\n\u202e\ud800[link=http://e]"


def verdicts(**counts):
    """Make the counts of verdicts."""
    return {verdict: counts.get(verdict.value, 0) for verdict in Verdict}


def finding(**more):
    """Make a finding."""
    return Finding(
        **{
            "fingerprint": "0123456789abcdef",
            "migration": "comments",
            "experiment": "get_comment",
            "path": "$.replies[*].body",
            "kind": "changed",
            "types": ("str", "NoneType"),
            "count": 12345,
            "first_seen": AT,
            "last_seen": AT.replace(day=5),
            "label": "v2",
            "proofs": {"confirmed": 12000, "single": 345},
            "examples": (Example("c1", AT, "$.replies[3].body", "comment_id=7", "'old'", "None", "rule expired"),),
            **more,
        }
    )


def shown(findings=(), summaries=(), *, width=80, terminal=False, **more):
    """Return what is printed."""
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, markup=True, emoji=True)
    print_report(findings, summaries, console, **more)
    return console.file.getvalue()


SUMMARY = Summary(
    "get_comment",
    Stage.LIVE,
    verdicts(match=12246, mismatch=99, ignored=0, skipped=3, broken=1),
    {"skipped:shed": 3, "broken:timeout": 1},
    {"redact": 2},
    {"$.served_at": 55},
    (RuleUse("ignore $.x", 0, "host"), RuleUse("ignore $.y", 4, expired=True), RuleUse("ignore $.z", 9)),
)


def test_all_facts():
    """A report tells all that is known of findings and experiments."""
    text = shown([finding()], [SUMMARY], lost=1, width=200)
    for fact in (
        "1 finding", "12 345", "get_comment", "$.replies[*].body", "changed: str -> NoneType", "0123456789abcdef",
        "control   'old'", "candidate None", "at $.replies[3].body", "comment_id=7", "rule expired",
        "2026-01-02 03:04", "2026-01-05 03:04", "label v2", "proof: confirmed 12", "single 345",
        "live", "12 246", "skipped:shed, 3 times", "broken:timeout, 1 time", "$.served_at, 55 times", "redact, 2 times",
        "ignore $.x never took effect (because: host)", "ignore $.y has expired",
        "get_comment: 12 345 calls compared, 99.1 % matched, 1 finding", "1 occurrence of further findings",
    ):  # fmt: skip
        assert fact in text
    assert "ignore $.z" not in text
    assert "weak proof" not in text


@pytest.mark.parametrize("width", [80, 40, 120, 200])
def test_fits(width):
    """No line is longer than the console is wide, at 80 columns and elsewhere, and nothing is cut off."""
    long = finding(
        experiment="x" * 90, path="$" + ".name" * 40, examples=(Example("c", AT, "$", "a=1", "y" * 150, "z" * 150),)
    )
    text = shown([finding(), long], [SUMMARY], width=width)
    assert max(map(len, text.splitlines())) <= width
    assert text.count("y") >= 150
    assert text.count("x") >= 90


def test_piped():
    """Without a terminal there are no escape sequences; with one there are, all of them ours."""
    assert "\x1b" not in shown([finding()], [SUMMARY])
    assert "\x1b" in shown([finding()], [SUMMARY], terminal=True)


@pytest.mark.parametrize("terminal", [True, False])
def test_text_does_not_act(terminal):
    """Neither markup nor escape sequences, emoji names or overrides in any text have an effect."""
    nasty = Finding(
        NASTY, NASTY, NASTY, NASTY, "changed", (NASTY, NASTY), 1, AT, AT, NASTY, {NASTY: 1},
        (Example(NASTY, AT, NASTY + "x", NASTY, NASTY, NASTY, NASTY),),
    )  # fmt: skip
    summary = Summary(
        NASTY, Stage.OFF, verdicts(match=1), {NASTY: 1}, {NASTY: 1}, {NASTY: 1}, (RuleUse(NASTY, 0, NASTY),)
    )
    text = shown([nasty, finding()], [summary], width=400, terminal=terminal)
    assert text.count("\\x1b[31m[bold red]x[/] :smile: \\x07\\r\\n\\u202e\\ud800[link=http://e]") >= 14
    assert not {"\x07", "\u202e", "\ud800"} & set(text)
    assert "\x1b[31m[" not in text
    assert "]8;" not in text


def test_several_migrations():
    """With several migrations each finding tells its own."""
    assert "comments: get_comment" not in shown([finding()], width=200)
    assert "comments: get_comment" in shown([finding(), finding(migration="users")], width=200)


def test_weak_proofs_are_told():
    """A finding with weak proofs only says so."""
    assert "weak proof only" in shown([finding(proofs={"reread": 3})], width=200)
    assert "weak proof only" not in shown([finding(proofs={}, examples=(), label="")], width=200)


def test_empty():
    """Without any call the report says that."""
    assert shown() == "No calls were recorded.\n"


@pytest.mark.parametrize(
    ("counts", "findings", "expected"),
    [
        ({"match": 12246, "mismatch": 99}, 3, "get: 12 345 calls compared, 99.1 % matched, 3 findings"),
        ({"match": 1}, 0, "get: 1 call compared, 100 % matched, 0 findings"),
        ({"match": 9_999_999, "mismatch": 1}, 1, "get: 10 000 000 calls compared, 99.9 % matched, 1 finding"),
        ({"mismatch": 2}, 1, "get: 2 calls compared, 0.0 % matched, 1 finding"),
        (
            {"match": 1, "ignored": 1},
            0,
            "get: 2 calls compared, 50.0 % matched, 50.0 % differed only where a rule ignores it, 0 findings",
        ),
        ({"skipped": 2}, 0, "get: nothing compared, 2 sampled calls, 0 findings"),
    ],
)
def test_sentence(counts, findings, expected):
    """One plain line tells how an experiment stands."""
    assert sentence(Summary("get", verdicts=verdicts(**counts)), findings) == expected


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_percent_is_never_too_good(part, rest):
    """A share below the whole never reads as 100 %."""
    assert percent(part, part + rest) != "100 %"
    assert float(percent(part, part + rest).removesuffix(" %")) <= 100 * part / (part + rest) + 1e-9
    assert percent(rest, rest) == "100 %"


def test_few_calls():
    """A rule not used yet is no reproach while few calls were compared."""
    summary = Summary("get", verdicts=verdicts(match=5), rules=(RuleUse("ignore $.x", 0),))
    assert "never took effect yet; few calls were compared" in shown([], [summary], width=200)


def test_json_schema():
    """The JSON has just the keys that its documentation promises."""
    report = to_jsonable([finding()], [SUMMARY], lost=2, skipped=[Skipped("f", 3, "torn")])
    assert json.loads(json.dumps(report)) == report
    (experiment,), (found,) = report.pop("experiments"), report.pop("findings")
    assert report == {
        "format": "shadowmig.report",
        "version": 1,
        "lost": 2,
        "skipped_lines": [{"file": "f", "line": 3, "reason": "torn"}],
    }
    assert experiment == {
        "experiment": "get_comment",
        "stage": "live",
        "calls": 12349,
        "compared": 12345,
        "match_rate": 12246 / 12345,
        "findings": 1,
        "verdicts": {"match": 12246, "mismatch": 99, "raced": 0, "ignored": 0, "broken": 1, "skipped": 3},
        "reasons": {"skipped:shed": 3, "broken:timeout": 1},
        "errors": {"redact": 2},
        "noise": {"$.served_at": 55},
        "rules": [
            {"rule": "ignore $.x", "used": 0, "reason": "host", "expired": False},
            {"rule": "ignore $.y", "used": 4, "reason": "", "expired": True},
            {"rule": "ignore $.z", "used": 9, "reason": "", "expired": False},
        ],
        "control_seconds": 0.0,
        "candidate_seconds": 0.0,
    }
    assert found == {
        "fingerprint": "0123456789abcdef",
        "migration": "comments",
        "experiment": "get_comment",
        "store": "",
        "record": "",
        "path": "$.replies[*].body",
        "kind": "changed",
        "types": {"control": "str", "candidate": "NoneType"},
        "count": 12345,
        "first_seen": "2026-01-02T03:04:00+00:00",
        "last_seen": "2026-01-05T03:04:00+00:00",
        "label": "v2",
        "proofs": {"confirmed": 12000, "single": 345},
        "only_weak_proofs": False,
        "examples": [
            {
                "call": "c1",
                "at": "2026-01-02T03:04:00+00:00",
                "path": "$.replies[3].body",
                "arguments": "comment_id=7",
                "control": "'old'",
                "candidate": "None",
                "note": "rule expired",
                "record": "",
            }
        ],
    }


def test_json_without_calls():
    """Nothing compared has no rate, which is not the rate 0."""
    assert to_jsonable([], [Summary("get")])["experiments"][0]["match_rate"] is None


def test_importing_is_cheap():
    """Importing the room, or asking for plain data, loads no Rich."""
    code = "import sys, shadowmig.report.jsonable, shadowmig.report.terminal; print('rich' in sys.modules)"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    printed = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert printed.stdout == "False\n"
