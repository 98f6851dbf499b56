"""Writes inside of a request's transaction in Django with ATOMIC_REQUESTS, which is committed after the view."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shadowmig.testing.servers import Postgres

PROGRAM = Path(__file__).parent / "programs" / "django_requests.py"


@pytest.fixture(scope="module")
def found(postgres: Postgres) -> dict[str, Any]:
    """What every scenario gave, in a process of its own: Django is configured only once in a process."""
    command = [sys.executable, "-W", "error", str(PROGRAM), postgres.url]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert (ended.returncode, ended.stderr) == (0, "")
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


def test_django_commits_after_the_view(found: dict[str, Any]) -> None:
    """Creates, edits and votes match once they are committed."""
    assert found["committed"] == {operation: [200, "match"] for operation in ("create", "edit", "vote")}


def test_django_nothing_is_seen_before_the_commit(found: dict[str, Any]) -> None:
    """While the request is open, long after the candidate has written, there is no verdict yet."""
    assert found["pending"] == [200, [False], ["match"]]


def test_django_view_is_the_handler(found: dict[str, Any]) -> None:
    """A decorated view is compared after a commit that takes its time."""
    assert found["slow"] == [202, True, ["match"], ["slow", 0, 2]]


def test_django_commit_later_than_settle(found: dict[str, Any]) -> None:
    """A commit that comes later than ``settle`` is no mismatch, and the next write matches."""
    assert found["late"] == [["skipped:not_committed"], ["match"]]


def test_django_error_response(found: dict[str, Any]) -> None:
    """A response that tells of an error is committed by Django, and so compared."""
    assert found["error_response"] == [500, ["match"], ["second", 0, 2]]


def test_django_defects(found: dict[str, Any]) -> None:
    """What a candidate with a defect leaves in the sister is found after the commit, at the right place."""
    assert found["defects"] == [
        ["edit", "body", "mismatch", ["$.body version"]],
        ["edit", "bump", "mismatch", ["$.version version"]],
        ["edit", "lazy", "mismatch", ["$.body version", "$.version version"]],
        ["vote", "votes", "mismatch", ["$.votes version"]],
        ["vote", "bump", "mismatch", ["$.version version"]],
        ["create", "body", "mismatch", ["$.body version"]],
    ]


@pytest.mark.parametrize(
    ("way", "status"), [("raises", 500), ("set_rollback", 200), ("refused", 500), ("savepoint", 200)]
)
def test_django_rolled_back(found: dict[str, Any], way: str, status: int) -> None:
    """A rolled-back request is counted as not committed, and the next write to the comment matches."""
    assert found["rolled_back"][way] == [[status] * 3, ["skipped:not_committed"] * 3, True, ["match"] * 3]


def test_django_rolled_back_and_tried_again(found: dict[str, Any]) -> None:
    """A user who tries again at once, after a request that failed, makes no mismatch."""
    statuses, verdicts, held = found["tried_again"]
    assert (statuses, held) == ([500, 200], ["third", 0, 2])
    assert verdicts[0] in ("raced:contested", "skipped:not_committed")
    assert verdicts[1:] == ["match"]


@pytest.mark.parametrize(("defect", "allowed"), [("", {"match", "raced"}), ("votes", {"mismatch", "raced"})])
def test_django_two_at_once(found: dict[str, Any], defect: str, allowed: set[str]) -> None:
    """Of two requests that vote on one comment at once none is a false alarm, and no defect is a match."""
    statuses, verdicts, held = found["two_at_once"][defect]
    assert (statuses, held) == ([200, 200], ["first", 2, 3])
    assert len(verdicts) == 2
    assert {verdict.split(":")[0] for verdict in verdicts} <= allowed


def test_django_written_before_in_the_same_request(found: dict[str, Any]) -> None:
    """What the request has written before the handler cannot be hydrated: the call races, and is no mismatch."""
    status, verdicts, held = found["written_before"]
    assert (status, held) == (200, ["first", 2, 3])
    assert [verdict.split(":")[0] for verdict in verdicts] == ["raced"]
