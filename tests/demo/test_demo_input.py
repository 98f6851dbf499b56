"""Real comments as input, and files that are none."""

import json
from pathlib import Path

import pytest

from shadowmig.demo import run
from shadowmig.demo.defects import CATALOGUE
from shadowmig.demo.play import play
from shadowmig.demo.reading import read_comments
from shadowmig.errors import RecordError

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "reddit_comments.jsonl"

GOOD = {"id": "a", "body": "text", "author": "b", "link_id": "t3_x", "score": 1, "created_utc": 1.5e9, "edited": False}


@pytest.mark.skipif(not DATA.exists(), reason="the file of real comments is not here")
def test_real_comments():
    """Over real comments all defects that they can show are found, and nothing else."""
    outcome = play(read_comments(DATA), defects=CATALOGUE, seed=0, calls=1500)
    assert outcome.truth.alarms == []
    assert outcome.as_it_must_be
    assert {defect.name for defect in CATALOGUE if not outcome.found(defect)} == {"surrogate_is_replaced"}


def test_wrapped_and_bare_comments(tmp_path):
    """A line is a comment or a thing of kind t1 around one; blank lines are skipped."""
    file = tmp_path / "in.jsonl"
    file.write_text(f"{json.dumps(GOOD)}\n\n{json.dumps({'kind': 't1', 'data': GOOD})}\n", encoding="utf-8")
    assert read_comments(file) == [GOOD, GOOD]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"[1]", "not a JSON object"),
        (b'{"id": "a"}', "it has no body"),
        (b'{"id": 7, "body": ""}', "id must be a text"),
        (b'{"id": "", "body": ""}', "id must be a text"),
        (b'{"kind": "t3", "data": {}}', "only 't1' is a comment"),
        (b'{"kind": "t1", "data": []}', "not a JSON object"),
        (b'{"id": "a", "body": "", "score": 1.5}', "score must be"),
        (b'{"id": "a", "body": "", "score": 1e999}', "too large"),
        (b'{"id": "a", "body": "", "created_utc": "now"}', "created_utc must be"),
        (b'{"id": "a", "body": "", "edited": -1}', "edited must be"),
        (b'{"id": "a", "body": "", "edited": 1e15}', "edited must be"),
        (b'{"id": "a", "body": "", "author": 3}', "author must be"),
        (b'{"id": "a", "body": "", "x": NaN}', "not JSON: NaN"),
        (b'{"id": "a", "body": "", "x": 1e999}', "too large"),
        (b'{"id": "a", "body": "", "x": ' + b"[" * 200 + b"]" * 200 + b"}", "nested deeper"),
        (b"[" * 200_000, "nested too deeply"),
    ],
)
def test_bad_line_is_named(tmp_path, capsys, line, why):
    """A line that is no comment ends the demo with 2 and a message that names file, line and reason."""
    file = tmp_path / "in.jsonl"
    file.write_bytes(json.dumps(GOOD).encode() + b"\n" + line + b"\n")
    assert run(input=file) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{file}, line 2" in captured.err
    assert why in captured.err


def test_empty_file(tmp_path, capsys):
    """A file without comments is refused."""
    file = tmp_path / "in.jsonl"
    file.write_text("\n", encoding="utf-8")
    assert run(input=file) == 2
    assert "holds no comments" in capsys.readouterr().err


def test_missing_file(tmp_path):
    """A file that cannot be read is refused with its name and the reason."""
    with pytest.raises(RecordError, match=r"no such.* cannot be read"):
        read_comments(tmp_path / "no such")


def test_odd_comments(tmp_path, capsys):
    """Comments with few fields, odd values and names of our own are compared without a false alarm."""
    lines = [
        {"id": "a", "body": "\ud83d <b>&amp;</b> \u2028 é" * 20, "author": None, "score": None, "edited": 10**9},
        {"id": "b", "body": "", "version": "theirs", "excerpt": 1, "badges": {}, "likes": None, "x": -0.0},
        {"id": "ü\n", "body": "x", "link_id": "", "author": "", "created_utc": 0, "huge": 2**70, "user_reports": []},
        {"id": "c", "body": "x", "authorFullname": 1, "author_fullname": None, "score": -(2**63) + 1, "edited": True},
        {"id": "c", "body": "y", "score": 2**63 - 1, "f": 1e-9, "author_flair_text": "\udc00", "edited": 1e9},
    ]
    file = tmp_path / "in.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert run(input=file, calls=300) == 0
    assert "1 line had the id of a later one" in capsys.readouterr().out
