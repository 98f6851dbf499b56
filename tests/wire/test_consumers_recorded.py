"""Recorded events: written, read and replayed."""

import base64
import json
import os
import stat
import threading

import pytest

from shadowmig import structural
from shadowmig.errors import ConfigError, RecordError
from shadowmig.wire.consumers import Consumer, Effects, Pair, _file, record
from shadowmig.wire.consumers._file import read

EFFECTS = Effects()


@EFFECTS.wrap(name="mail")
def mail(to, **more):
    """Send for real."""
    raise AssertionError("sent")


def handle(event):
    if "refused" in event:
        try:
            os.system("true")
        except Exception:
            mail("swallowed")
    mail(event["to"], at=event.get("at"))


def consumer():
    return Consumer(
        decode=json.loads, handle=handle, effects=EFFECTS, name="mails", compare=structural(ignore=["$..at"])
    )


def event(to, **more):
    return json.dumps({"to": to} | more).encode()


PAIRS = [
    Pair(event("ada"), event("ada"), id="1"),
    Pair(event("ada"), event("bob"), id="2"),
    Pair(event("ada"), b"{", id="3"),
    Pair(b"{", b"{"),
    Pair(event("ada", at=1), event("ada", at=2)),
    Pair(event("ada", refused=1), event("ada", refused=1)),
]


def test_replay_of_pairs():
    """Pairs are counted by what became of them, and those that differ are kept with their places."""
    report = consumer().replay(PAIRS)
    counts = (report.pairs, report.equal, report.different, report.ignored, report.unproved, report.bad)
    assert counts == (6, 2, 2, 1, 1, 0)
    assert report.production == {"handled": 5, "undecodable": 1}
    assert report.sister == {"handled": 4, "undecodable": 2}
    assert report.paths == {"@effects": 1, "@decode": 1}
    assert report.refused == {"os.system true": 2}
    assert [(fault.number, fault.id, fault.differences[0].path) for fault in report.faults] == [
        (2, "2", "@effects.mail[0].args[0]"),
        (3, "3", "@decode"),
    ]
    assert not report.ok
    text = str(report)
    assert text.splitlines()[0] == "mails: 6 pairs, 2 equal, 2 different, 1 ignored, 1 unproved"
    assert "undecodable            1           2" in text
    assert "refused os.system true, 2 times" in text
    assert "pair 2 (2): @effects.mail[0].args[0] changed: 'ada' became 'bob'" in text
    found = json.loads(report.to_json())
    assert (found["different"], found["ok"], found["faults"][0]["differences"]) == (
        2,
        False,
        [{"path": "@effects.mail[0].args[0]", "kind": "changed"}],
    )


def test_what_is_ok():
    """A report is good if there were pairs and none differs or is unproved; ignored ones may be there."""
    assert consumer().replay([]).ok is False
    assert consumer().replay([PAIRS[0], PAIRS[4]]).ok is True
    assert consumer().replay([PAIRS[0], PAIRS[5]]).ok is False
    assert consumer().replay([(b"{", b"{")]).ok is True


def test_faults_are_bounded():
    """Of many pairs that differ, a hundred are kept and all are counted."""
    report = consumer().replay([PAIRS[1]] * 130)
    assert (report.different, len(report.faults)) == (130, 100)
    assert str(report.faults[0]).startswith("pair 1 (2): ")


@pytest.mark.parametrize("bad", [(b"x",), ("a", "b"), b"xx", None])
def test_wrong_pairs(bad):
    """What is no pair is refused by its class."""
    with pytest.raises(ConfigError) as caught:
        consumer().replay([bad])
    assert caught.value.field == "pairs"


def test_file(tmp_path):
    """What was recorded is read back, by whoever adds to it, and only its owner may read it."""
    path = tmp_path / "pairs.jsonl"
    with record(path) as write:
        for pair in PAIRS[:3]:
            write(pair)
    with record(str(path)) as write:
        for pair in PAIRS[3:]:
            write(pair)
    assert list(read(path)) == PAIRS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text().splitlines()[0]) == {"format": "shadowmig-events", "version": 1}
    assert consumer().replay(path) == consumer().replay(PAIRS)


def test_writers_that_begin_at_once(tmp_path, monkeypatch):
    """Of writers that begin a file at the same time only one writes the first line."""
    path, real, others = tmp_path / "pairs.jsonl", os.write, []

    def other():
        with record(path) as write:
            write(PAIRS[1])

    def slow(file, data):
        if not others:
            others.append(threading.Thread(target=other))
            others[0].start()
            others[0].join(0.2)  # for the other one to find an empty file too, if it can
        return real(file, data)

    monkeypatch.setattr(os, "write", slow)
    with record(path) as write:
        write(PAIRS[0])
    others[0].join(30)
    assert sorted(read(path), key=str) == sorted(PAIRS[:2], key=str)


def line(**fields):
    return json.dumps(fields).encode() + b"\n"


GOOD = base64.b64encode(event("ada")).decode()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{\n", "it is no JSON"),
        (b"\xff\n", "it is no JSON"),
        (b"[" * 100_000 + b"\n", "it is no JSON"),
        (b"[]\n", "it is no object"),
        (line(production=GOOD), "sister is missing"),
        (line(production="*", sister=GOOD), "production is no base64"),
        (line(production=GOOD, sister=7), "sister is no base64"),
        (b"x" * 2000 + b"\n", "it is longer than 1000 bytes"),
        (b'{"production": "', "it is cut"),
    ],
)
def test_bad_lines(tmp_path, monkeypatch, content, problem):
    """A line that is no pair is named with its number, counted, and the lines round it are compared."""
    monkeypatch.setattr(_file, "LONGEST", 1000 if b"x" in content else 10**6)
    path = tmp_path / "pairs.jsonl"
    with record(path) as write:
        write(PAIRS[0])
    with path.open("ab") as file:
        file.write(content)
    if content.endswith(b"\n"):
        with record(path) as write:
            write(PAIRS[0])
    report = consumer().replay(path)
    assert (report.equal, report.bad, report.ok) == (1 + content.endswith(b"\n"), 1, False)
    [error] = report.bad_lines
    assert (error.line, error.file) == (3, str(path))
    assert str(error) == f"Line 3 of {str(path)!r} is no pair of events: {problem}."
    assert "1 bad lines" in str(report)
    assert str(error) in json.loads(report.to_json())["bad_lines"]


def test_line_that_was_cut(tmp_path):
    """After a writer died in a line, the next one begins a line of its own."""
    path = tmp_path / "pairs.jsonl"
    with record(path) as write:
        write(PAIRS[0])
    with path.open("ab") as file:
        file.write(b'{"production": "')
    with record(path) as write:
        write(PAIRS[1])
    found = list(read(path))
    assert found[0] == PAIRS[0]
    assert isinstance(found[1], RecordError)
    assert found[2] == PAIRS[1]


def test_long_line_at_the_end(tmp_path, monkeypatch):
    """A line that is too long and never ends is one bad line."""
    monkeypatch.setattr(_file, "LONGEST", 1000)
    path = tmp_path / "pairs.jsonl"
    with record(path):
        pass
    with path.open("ab") as file:
        file.write(b"\n" + b"x" * 5000)
    [error] = read(path)
    assert error.line == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no file of recorded events"),
        (b"hello\n", "is no file of recorded events"),
        (b"[]\n", "is no file of recorded events"),
        (b"[" * 5000, "is no file of recorded events"),
        (line(format="shadowmig-events", version=9), "has version 9 of the format"),
    ],
)
def test_files_of_others(tmp_path, content, message):
    """A file that is none of ours, or of a newer version, is refused by readers, and by writers unless it is empty."""
    path = tmp_path / "pairs.jsonl"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(RecordError, match=message) as caught:
        consumer().replay(path)
    assert caught.value.line == 1
    if content:
        with pytest.raises(ConfigError, match=message), record(path):
            pass
        assert path.read_bytes() == content


def test_files_that_others_can_read(tmp_path):
    """A file that others can read is not written to, and a link is not followed."""
    path = tmp_path / "pairs.jsonl"
    path.touch(0o644)
    with pytest.raises(ConfigError, match="can be read by others"), record(path):
        pass
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(OSError, match="link"), record(link):
        pass


def test_full_disk(tmp_path, monkeypatch):
    """A disk that takes half a line is an error."""
    real = os.write
    with record(tmp_path / "pairs.jsonl") as write:
        monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:5]))
        with pytest.raises(OSError, match="the disk is full"):
            write(PAIRS[0])


def test_huge_values_are_cut_for_people():
    """What a report prints of a pair has a bounded length, however long the values are."""
    effects = Effects()
    send = effects.wrap(lambda value: None, name="mail")
    consumer = Consumer(decode=json.loads, handle=send, effects=effects)
    report = consumer.replay([Pair(json.dumps("x" * 100_000).encode(), json.dumps("y" * 100_000).encode())])
    assert report.different == 1
    assert len(str(report)) < 2000
