"""The storm as a command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shadowmig.testing.storm.__main__ import main

SMALL = ["--stores", "memory", "--writes", "120", "--writers", "2", "--records", "5", "--seed", "3"]


@pytest.fixture
def stranger(monkeypatch):
    """Have the stranger's module found by name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def test_storm_json(capsys):
    """One defect and none, as JSON: the settings, the verdicts, and where and when the defect was found."""
    code = main([*SMALL, "--defect", "none", "--defect", "body-escaped", "--plain", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert code == 0
    settings = {"writes": 120, "writers": 2, "records": 5, "versions": "column", "stores": "memory", "seed": 3}
    assert {name: told[name] for name in settings} == settings
    assert sum(told["verdicts"].values()) == 240
    assert told["false_alarms"] == 0
    assert told["raced"] == told["verdicts"]["raced"]
    assert told["share_raced"] == told["raced"] / 240
    assert told["recall"] == 1
    (defect,) = told["defects"]
    assert (defect["name"], defect["found"]) == ("body-escaped", True)
    assert (defect["store"], defect["path"], defect["kind"]) == ("db", "$.body", "changed")
    assert 1 <= defect["calls"] <= 120
    assert told["plain"]["mismatches"] > 0
    assert told["seconds"] > 0


def test_storm_text(capsys, stranger):
    """Strangers' defects are run beside ours; one that is not found makes the exit code 1, and people can read why."""
    code = main([*SMALL, "--load", "storm_stranger", "--defect", "shouts", "--defect", "whispers"])
    told = capsys.readouterr().out
    assert code == 1
    assert "shouts" in told
    assert "cache $.body changed" in told
    assert "NOT FOUND" in told
    assert "1 of 2 defects found" in told
    assert "false alarms  0" in told


@pytest.mark.parametrize("wrong", [["--defect", "nonsense"], ["--load", "no_such_module"], ["--writes", "0"]])
def test_storm_cannot(capsys, wrong):
    """What cannot be had is said on standard error, with exit code 2."""
    assert main([*SMALL, *wrong]) == 2
    assert capsys.readouterr().err.startswith("storm: ")


def test_storm_interrupted(monkeypatch):
    """Ctrl-C ends it with the exit code that shells have for it."""

    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("shadowmig.testing.storm.__main__.storm", interrupt)
    assert main([*SMALL, "--defect", "none"]) == 130


def test_storm_progress(capsys, monkeypatch):
    """On a terminal the number of writes made is shown, and wiped at the end."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert main([*SMALL, "--defect", "none"]) == 0
    assert "of 120 writes" in capsys.readouterr().err


def test_storm_module():
    """It runs as ``python -m shadowmig.testing.storm``."""
    command = [sys.executable, "-m", "shadowmig.testing.storm", *SMALL, "--defect", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "nothing to find" in done.stdout
