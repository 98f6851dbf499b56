"""Planted faults in real streams under many writers, with verifiers that are killed: all found, once, and no others."""

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parent / "programs_events" / "fault_run.py"


def run(*options):
    """Run the program, and give what it says."""
    done = subprocess.run([sys.executable, str(PROGRAM), *options], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_all_planted_faults_are_found():
    """Planted faults of eight writers are all found by name, by verifiers that share the work, and nothing else is."""
    code, told = run("--events", "5000", "--rate", "0.05", "--grace", "4")
    assert told["failed"] == told["false or repeated"] == told["not as expected"] == []
    assert told["not found"] == {}
    assert len(told["planted"]) == 9
    assert told["counts agree"]
    assert code == 0


def test_verifiers_that_are_killed():
    """Of three verifiers one is killed twenty times by SIGKILL: every event is judged, and none twice."""
    code, told = run(
        *("--events", "8000", "--verifiers", "3", "--kills", "20", "--between", "0.6", "--pause", "0.1", "--grace", "4")
    )
    assert told["kills"] == 20
    assert told["failed"] == told["false or repeated"] == told["not as expected"] == []
    assert told["counts agree"]
    assert code == 0
