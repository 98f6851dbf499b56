"""The examples that need no framework, and the gevent one, which needs a process of its own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from example_support import load_example

from shadowmig import Verdict

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_plain_service_finds_both_bugs(example, tmp_path, monkeypatch, capsys):
    """The end of the tutorial gives the old answers and finds the two planted bugs."""
    monkeypatch.chdir(tmp_path)
    module = example("plain_service")
    module.main()
    printed = capsys.readouterr().out.splitlines()
    assert printed[:3] == [
        "comment 1: {'id': 1, 'author': 'ada', 'body': 'First!', 'served_by': 'old'}",
        "comment 2: {'id': 2, 'author': None, 'body': 'Buy my pills', 'served_by': 'old'}",
        "comment 3: not found",
    ]
    assert sorted(printed[3:]) == [
        "$ raised: control builtins.KeyError: 3, candidate builtins.ValueError: no such comment",
        "$.author type: control None, candidate 'bob'",
    ]
    assert module.migration.stats().experiments["get_comment"].verdicts[Verdict.IGNORED] == 1
    assert (tmp_path / "findings.jsonl").exists()


def test_round_trips_before_and_after(example, capsys):
    """The end of the tutorial on round trips finds the three mistakes, and nothing once they are mended."""
    module = example("wire_roundtrip")
    assert {fault.name for fault in module.check().faults if not fault.accepted} >= {
        "integer became float",
        "empty list became null",
        "time lost its fraction",
    }
    module.main()
    assert "no faults" in capsys.readouterr().out


def test_own_comparator_tells_ties_from_mistakes(example, found):
    """A tie in another order is ignored, a wrong score is found, and the rule tells its use."""
    module = example("own_comparator")
    for subject in ("art", "games", "news"):
        assert module.top_comments(subject)[0]["id"] in {1, 3, 5}
    findings, verdicts = found(module.migration)
    assert findings == {("top_comments", "$[*].score", "changed")}
    assert verdicts == {"top_comments": {"match": 1, "mismatch": 1, "ignored": 1}}
    [rule] = module.migration.stats().experiments["top_comments"].rules
    assert rule.used == 2


@pytest.mark.parametrize(
    ("control", "candidate", "kind"),
    [([{"id": 1, "score": 1}], [], "missing"), ([], [{"id": 1, "score": 1}], "unexpected")],
)
def test_own_comparator_sees_other_lengths(example, control, candidate, kind):
    """A place that only one ranking has is a difference."""
    compare = example("own_comparator").Ranking()
    assert [difference.kind for difference in compare(control=control, candidate=candidate)] == [kind]


def test_own_comparator_main_says_what_was_found(example, capsys):
    """The program prints verdicts, finding and use of the rule, and ends."""
    example("own_comparator").main()
    assert capsys.readouterr().out.splitlines() == [
        "match 1, mismatch 1, ignored 1",
        "found top_comments $[1].score: 2 became 1",
        "rule 'ties may change places' took effect 2 times",
    ]


def test_own_sink_sends_increments(example, capsys):
    """However the batches fall, the increments add up to what happened."""
    lines = example("own_sink").main()
    totals = {}
    for line in lines:
        name, count = re.fullmatch(r"shadowmig\.comments\.get_score\.([\w.]+):(\d+)\|c", line).groups()
        name = "finding" if name.startswith("finding.") else name
        totals[name] = totals.get(name, 0) + int(count)
    assert totals == {"match": 2, "mismatch": 2, "finding": 2}
    assert capsys.readouterr().out.splitlines() == lines


def test_calibrate_shows_the_noise(example, capsys):
    """Without confirmation noise is found, with it noise is named and raced, and rules ignore it."""
    example("calibrate").main()
    noisy = "['$.rendered_at', '$.trace']"
    printed = capsys.readouterr().out.splitlines()
    assert printed[:3] == [
        "see: mismatch 20; noise []",
        f"confirmed: raced 20; noise {noisy}",
        "ruled: ignored 20; noise []",
    ]
    assert sorted(printed[3:]) == ["found see $.rendered_at, 20 calls", "found see $.trace, 20 calls"]


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.py")))
def test_every_example_runs_as_a_program(name, tmp_path):
    """Each example runs by itself, prints something, and ends well, with every warning an error."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.splitlines()) >= 3
    assert "Traceback" not in run.stderr


def test_gevent_users_do_not_wait(tmp_path):
    """Under gevent the users get control's answers at once, each candidate sees its own user, and the bug is found."""
    command = [sys.executable, str(EXAMPLES / "gevent_service.py")]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.splitlines() == [
        "{'id': 1, 'score': 10, 'seen_by': 'ada'}, at once",
        "{'id': 1, 'score': 10, 'seen_by': 'bob'}, at once",
        "{'id': 1, 'score': 10, 'seen_by': 'eve'}, at once",
        "found get_comment $.score: 10 became '10'",
    ]


def test_forked_worker_loses_nothing(tmp_path):
    """What a child found that ends by ``os._exit`` is in the file, with what its parent found."""
    command = [sys.executable, str(EXAMPLES / "forked_worker.py")]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.splitlines() == [
        "the child got 10",
        "the parent got 20",
        "found get_score $ in 2 calls",
    ]


def test_write_service_finds_both_bugs(example, found, capsys):
    """The end of the write tutorial gives the old answers and finds the two planted bugs in all stores."""
    module = example("write_service")
    module.main()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "{'body': 'First!', 'version': 1, 'id': 1, 'event_id': 'event-1'}"
    assert printed[3:9] == [
        "not found",
        "answer $.body changed | '  indented' | 'indented'",
        "cache comment:* $.body changed | 'First! (edited)' | 'First!'",
        "cache comment:* $.version changed | 2 | 1",
        "db comments $.body changed | '  indented' | 'indented'",
        "events comment_events $.after.body changed | '  indented' | 'indented'",
    ]


def test_write_real_stores_finds_both_bugs(postgres, memcached, redis, capsys):
    """The write tutorial on real servers finds the same two bugs."""
    assert load_example("write_real_stores").main() == [
        "answer $.body changed",
        "cache comment:* $.body changed",
        "cache comment:* $.version changed",
        "db comments $.body changed",
        "events comment_events $.after.body changed",
    ]
