"""The demo finds what is planted and nothing else, and would say so if it did not."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.cells import cell_len

from shadowmig.compare import structural
from shadowmig.demo import play as playing
from shadowmig.demo import run
from shadowmig.demo.comments import made_up
from shadowmig.demo.defects import CATALOGUE
from shadowmig.demo.play import play
from shadowmig.model import Verdict
from shadowmig.sinks.jsonl import read

PROGRAM = "import sys; from shadowmig.demo import run; sys.exit(run(calls={calls}))"


def defect_named(name):
    """Find a planted defect."""
    return next(defect for defect in CATALOGUE if defect.name == name)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_all_planted_defects_are_found(seed):
    """Every planted defect is found with each seed, and no finding is about anything else."""
    outcome = play(made_up(seed), defects=CATALOGUE, seed=seed, calls=800)
    assert outcome.truth.alarms == []
    assert [defect.name for defect in CATALOGUE if not outcome.found(defect)] == []
    assert outcome.unexplained() == []
    assert outcome.as_it_must_be
    assert len(outcome.defects) >= 12


def test_races_happen_and_are_no_mismatches():
    """Comments are edited between the two reads, those calls are judged as raced, and none as a mismatch."""
    outcome = play(made_up(0), defects=CATALOGUE, seed=0, calls=600)
    assert outcome.truth.all_raced() > 10
    assert outcome.count(Verdict.RACED) >= outcome.truth.all_raced()
    assert outcome.truth.raced_as_mismatch == 0


def test_rules_are_at_work():
    """Differences that a rule ignores give the verdict of their own, and every kind of rule takes effect."""
    outcome = play(made_up(0), defects=(), seed=0, calls=600)
    assert outcome.count(Verdict.IGNORED) > 10
    assert [rule.rule for summary in outcome.summaries for rule in summary.rules if not rule.used] == []


def test_faithful_rewrite_has_no_findings(capsys):
    """With no defect planted there is no finding, so those of other runs come from comparing."""
    assert run(calls=600, defects=()) == 0
    assert "Nothing was planted, and nothing was reported." in capsys.readouterr().out


@pytest.mark.parametrize("name", ["null_is_false", "last_is_lost", "average_is_cut"])
def test_defect_that_is_not_planted_is_not_found(name):
    """Leaving out one defect removes its findings and no others."""
    left_out = defect_named(name)
    planted = [defect for defect in CATALOGUE if defect != left_out]
    outcome = play(made_up(4), defects=planted, seed=4, calls=800)
    assert outcome.found(left_out) == []
    assert [defect.name for defect in planted if not outcome.found(defect)] == []
    assert outcome.as_it_must_be


def test_descriptions_and_names_are_distinct():
    """Each defect has a name, a description and places that no other defect has."""
    places = [(defect.endpoint, place) for defect in CATALOGUE for place in defect.places]
    assert len(set(places)) == len(places)
    assert len({defect.name for defect in CATALOGUE}) == len(CATALOGUE)
    assert all(defect.description.endswith(".") for defect in CATALOGUE)


def test_race_reported_as_mismatch_fails(monkeypatch, capsys):
    """If races were taken for mismatches, the demo would notice and exit with 1."""
    rules = playing.Migration.read
    monkeypatch.setattr(
        playing.Migration,
        "read",
        lambda self, *args, **options: rules(self, *args, **{**options, "version": None, "confirm": False}),
    )
    assert run(calls=600) == 1
    out = capsys.readouterr().out
    assert "which nobody planted" in out
    assert "This is not as it must be." in out


def test_overlooked_defect_fails(monkeypatch, capsys):
    """If the comparison were blind for a field, the demo would notice and exit with 1."""
    monkeypatch.setattr(
        playing,
        "structural",
        lambda **options: structural(**{**options, "ignore": [*options.get("ignore", ()), "$.likes"]}),
    )
    assert run(calls=600) == 1
    assert "null_is_false spoiled call" in capsys.readouterr().out


def test_one_comment_is_enough():
    """A store of one comment, read and edited all the time, gives no false alarm."""
    outcome = play([{"id": "a", "body": "it's"}], defects=CATALOGUE, seed=0, calls=300)
    assert outcome.as_it_must_be


def test_output_fits_80_columns(capsys):
    """In a pipe, every line fits 80 columns, without colours and without a progress bar."""
    assert run(calls=600, seed=7) == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if cell_len(line) > 80] == []
    assert "\x1b" not in out
    assert "Planted defects" in out


def test_out_is_a_findings_file(tmp_path, capsys):
    """The file given as ``out`` holds the findings of the run, and the way to see them again is told."""
    file = tmp_path / "findings.jsonl"
    assert run(calls=400, out=file) == 0
    result = read(file)
    assert result.skipped == ()
    assert any(batch.findings for batch in result.batches)
    assert "shadowmig report" in capsys.readouterr().out


def test_out_that_cannot_be_written(tmp_path, capsys):
    """An ``out`` in a folder that is not there is refused with exit code 2 before anything runs."""
    assert run(calls=10, out=tmp_path / "no" / "file") == 2
    assert capsys.readouterr().err.startswith("shadowmig: ")


def _environment():
    return {**os.environ, "PYTHONPATH": str(Path(playing.__file__).parents[2]), "TERM": "xterm", "COLUMNS": "80"}


def test_interrupt_ends_cleanly():
    """An interrupt ends the demo soon, with what it knows so far and without a traceback."""
    program = PROGRAM.format(calls=100_000)
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdout.readline().startswith("A comments service")
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert "Traceback" not in err
    assert process.returncode == 130
    assert "Stopped after" in out


def test_terminal_shows_progress():
    """On a terminal the number of calls made is shown while it runs."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(calls=400)], env=_environment(), stdout=theirs, stderr=subprocess.PIPE
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                data = os.read(ours, 4096)
            except OSError:  # how Linux tells that the other end is closed
                break
            if not data:
                break
            shown += data
        process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0
    assert b"/400" in shown
