"""The findings file: what is written is read back, whatever happened to the file in between."""

import json
import os
import resource
import stat
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowmig.errors import ConfigError, RecordError
from shadowmig.model import KINDS, Batch, Example, Finding, RuleUse, Stage, Summary, Verdict
from shadowmig.sinks import JsonLines
from shadowmig.sinks._format import HEADER
from shadowmig.sinks.jsonl import read

AT = datetime(2026, 1, 1, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=()), max_size=10)
TIMES = st.datetimes(timezones=st.just(UTC))
COUNTS = st.dictionaries(TEXT, st.integers(0), max_size=3)
EXAMPLES = st.builds(Example, TEXT, TIMES, TEXT, TEXT, TEXT, TEXT, TEXT)
RULES = st.builds(RuleUse, TEXT, st.integers(0), TEXT, st.booleans())
SECONDS = st.floats(allow_nan=False)


def tuples(elements):
    """Draw short tuples."""
    return st.lists(elements, max_size=2).map(tuple)


FINDINGS = st.builds(
    Finding,
    *(TEXT, TEXT, TEXT, TEXT, st.sampled_from(KINDS), st.tuples(TEXT, TEXT), st.integers(0), TIMES, TIMES),
    *(TEXT, COUNTS, tuples(EXAMPLES)),
)
SUMMARIES = st.builds(
    Summary,
    *(TEXT, st.sampled_from(Stage), st.dictionaries(st.sampled_from(Verdict), st.integers(0))),
    *(COUNTS, COUNTS, COUNTS, tuples(RULES), SECONDS, SECONDS),
)
BATCHES = st.builds(Batch, TEXT, TEXT, TEXT, TIMES, tuples(FINDINGS), tuples(SUMMARIES), st.integers(0))


def batch(number=0, source="p", size=0):
    """Make a batch whose label tells its number, padded to a size."""
    return Batch(source, "m", f"{number}" + " " * size, AT + timedelta(seconds=number))


def numbers(result):
    """Return the numbers of the batches read."""
    return [int(each.label) for each in result.batches]


@pytest.fixture
def path(tmp_path):
    """A path for a findings file."""
    return tmp_path / "findings.jsonl"


@settings(settings.get_profile("slow"))
@given(given=st.lists(BATCHES, max_size=3))
def test_round_trip(tmp_path_factory, given):
    """What is read is what was written, with any text in it."""
    path = tmp_path_factory.mktemp("trip") / "f.jsonl"
    sink = JsonLines(path)
    for each in given:
        sink(each)
    if given:
        assert read(path).batches == tuple(given)
        assert all(line.isascii() for line in path.read_bytes().splitlines())


def test_the_file(path):
    """A file starts with its header, each line is an object of its own, and strangers cannot read it."""
    sink = JsonLines(path, fsync=True)
    sink(batch(1))
    sink(batch(2))
    header, *lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert header == {"type": "header", "format": "shadowmig.findings", "version": 1}
    assert [line["type"] for line in lines] == ["batch", "batch"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0
    assert repr(sink) == f"JsonLines('{path}')"


def test_relative_path(tmp_path, monkeypatch):
    """A relative path is resolved when the sink is built, so a later change of folder does not matter."""
    monkeypatch.chdir(tmp_path)
    sink = JsonLines("f.jsonl")
    monkeypatch.chdir("/")
    sink(batch(1))
    assert numbers(read(tmp_path / "f.jsonl")) == [1]


def test_rotation(path):
    """Files are rotated by size, the youngest keep their places, and all are read oldest first."""
    sink = JsonLines(path, max_bytes=4096, keep=3)
    for number in range(40):
        sink(batch(number, size=900))
    assert sorted(each.name for each in path.parent.iterdir()) == [
        "findings.jsonl",
        "findings.jsonl.1",
        "findings.jsonl.2",
        "findings.jsonl.3",
        "findings.jsonl.lock",
    ]
    result = read(path)
    assert numbers(result) == list(range(40))[-len(result.batches) :]
    assert 9 <= len(result.batches) <= 16
    assert result.files == (f"{path}.3", f"{path}.2", f"{path}.1", str(path))
    assert all(each.stat().st_size <= 4096 for each in path.parent.glob("*jsonl*"))


def test_one_batch_larger_than_a_file(path):
    """A batch above the size is written to a file of its own."""
    sink = JsonLines(path, max_bytes=4096)
    for number in range(3):
        sink(batch(number, size=5000))
    result = read(path)
    assert numbers(result) == [0, 1, 2]
    assert len(result.files) == 3


def test_crash_between_two_renames(path):
    """A gap in the numbers, or no current file, as a crash leaves them, stops neither writers nor readers."""
    sink = JsonLines(path, max_bytes=4096)
    for number in range(12):
        sink(batch(number, size=900))
    path.rename(f"{path}.4")
    Path(f"{path}.1").rename(f"{path}.9")
    assert sorted(numbers(read(path))) == list(range(12))
    sink(batch(12))
    assert sorted(numbers(read(path))) == list(range(13))


def test_named_twice(path):
    """A file named twice, or by a pattern that matches siblings and lock, is read once."""
    sink = JsonLines(path, max_bytes=4096)
    for number in range(12):
        sink(batch(number, size=900))
    assert sorted(numbers(read(path, *sorted(path.parent.iterdir()), path))) == list(range(12))
    alone = read(f"{path}.1")
    assert alone.files == (f"{path}.1",)
    assert set(numbers(alone)) < set(range(12))


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_torn_last_line(path, cut):
    """A line torn by a crash costs that line only: the next starts anew, and the reader tells of it."""
    sink = JsonLines(path)
    sink(batch(1))
    sink(batch(2))
    os.truncate(path, path.stat().st_size - cut)
    torn = read(path)
    assert numbers(torn) == ([1, 2] if cut == 1 else [1])
    assert [(each.line, each.reason) for each in torn.skipped] == ([] if cut == 1 else [(3, "torn, or not JSON")])
    sink(batch(3))
    result = read(path)
    assert numbers(result) == ([1, 2, 3] if cut == 1 else [1, 3])
    assert len(result.skipped) == (0 if cut == 1 else 1)


@pytest.mark.parametrize("size", range(0, len(HEADER), 9))
def test_torn_header(path, size):
    """A file that ends inside its header is read as empty, and begun anew by the next writer."""
    path.write_bytes(HEADER[:size])
    assert read(path).batches == ()
    assert len(read(path).skipped) == (1 if size else 0)
    JsonLines(path)(batch(1))
    assert numbers(read(path)) == [1]
    assert read(path).skipped == ()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\xff\xfe", "torn"),
        (b'"text"', "not a JSON object"),
        (b"[" * 100_000, "torn"),
        (b'{"type": "later"}', "unknown type of record 'later'"),
        (b'{"type": "batch"}', "not a batch: required field missing"),
        (b'{"type":"batch","source":"p","migration":"m","label":"","at":"soon"}', "not a batch: "),
        (b'{"type":"batch","source":"p","migration":"m","label":"","at":"2026-01-01","lost":"many"}', "not a batch: "),
    ],
)
def test_bad_lines(path, line, reason):
    """A line that is no batch is skipped with its number and the reason."""
    sink = JsonLines(path)
    sink(batch(1))
    with path.open("ab") as file:
        file.write(line + b"\n\n" + HEADER)
    sink(batch(2))
    result = read(path)
    assert numbers(result) == [1, 2]
    (skipped,) = result.skipped
    assert (skipped.file, skipped.line) == (str(path), 3)
    assert skipped.reason.startswith(reason)


def test_deep_nesting_inside_a_batch(path):
    """A batch whose fields are something else altogether is skipped."""
    deep = "[" * 900 + "]" * 900
    path.write_bytes(
        HEADER
        + f'{{"type":"batch","source":"p","migration":"m","label":"","at":"2026-01-01","findings":{deep}}}\n'.encode()
    )
    assert len(read(path).skipped) == 1


def test_later_fields_and_naive_times(path):
    """Fields a later version adds are passed over, and a time without a zone is UTC."""
    line = b'{"type":"batch","source":"p","migration":"m","label":"1","at":"2026-01-01T00:00:00","new":[1]}\n'
    path.write_bytes(HEADER + line)
    (found,) = read(path).batches
    assert (found.at, found.label) == (AT, "1")


@pytest.mark.parametrize("version", [2, "x", None])
def test_newer_version(path, version):
    """A newer file is refused by readers and writers, with its name and version."""
    path.write_text(json.dumps({"type": "header", "format": "shadowmig.findings", "version": version}) + "\n")
    with pytest.raises(RecordError, match=f"format version {version!r}.*Upgrade") as caught:
        read(path)
    assert (caught.value.file, caught.value.line, caught.value.version) == (str(path), 1, version)
    with pytest.raises(ConfigError, match="format version"):
        JsonLines(path)


def test_newer_version_while_running(path):
    """A newer file put in place later is not written to."""
    sink = JsonLines(path)
    sink(batch(1))
    newer = HEADER.replace(b"1}", b"2}")
    path.write_bytes(newer)
    with pytest.raises(RecordError, match="version 2"):
        sink(batch(2))
    assert path.read_bytes() == newer


@pytest.mark.parametrize(
    "content", [b"some log\n", b"\n", b"{}\n", b'{"type": "header", "format": "other"}\n', b"no break"]
)
def test_foreign_file(path, content):
    """A file that is not ours is neither read nor written to."""
    path.write_bytes(content)
    with pytest.raises(RecordError, match="not a findings file"):
        read(path)
    with pytest.raises(ConfigError, match="not a findings file"):
        JsonLines(path)
    assert path.read_bytes() == content


def test_unreadable(tmp_path):
    """A missing file and a folder are refused with their name."""
    for bad in (tmp_path / "none.jsonl", tmp_path, tmp_path / "no" / "folder"):
        with pytest.raises(RecordError, match="cannot be read") as caught:
            read(bad)
        assert (caught.value.file, caught.value.line) == (str(bad), 0)


@pytest.mark.parametrize(("option", "value"), [("max_bytes", 4095), ("keep", 0), ("patience", -1)])
def test_bad_options(path, option, value):
    """An option out of range is refused with its name when the sink is built."""
    with pytest.raises(ConfigError, match=f"{option} must be at least") as caught:
        JsonLines(path, **{option: value})
    assert (caught.value.field, caught.value.value) == (option, value)


def test_bad_paths(tmp_path):
    """A path that cannot work is refused when the sink is built, with what is wrong with it."""
    os.mkfifo(tmp_path / "pipe")
    for bad, problem in (
        (tmp_path / "none" / "f", "does not exist"),
        (tmp_path, "it is a folder"),
        (tmp_path / "pipe", "not a regular file"),
    ):
        with pytest.raises(ConfigError, match=problem) as caught:
            JsonLines(bad)
        assert caught.value.field == "path"


# Root may write anywhere, so the process gives that up first; it is a process of its own for that.
UNPRIVILEGED = """
import os, sys
from shadowmig.sinks import JsonLines
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
for path in sys.argv[1:]:
    try:
        JsonLines(path)
    except ValueError as error:
        print(error)
"""


def test_not_writable():
    """A folder or file without the right to write is refused when the sink is built."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to other users
        shut, wide = Path(folder, "shut"), Path(folder, "wide")
        Path(folder).chmod(0o755)
        shut.mkdir(mode=0o555)
        wide.mkdir()
        wide.chmod(0o777)
        (wide / "f").write_bytes(HEADER)
        (wide / "f").chmod(0o444)
        run = [sys.executable, "-c", UNPRIVILEGED, str(shut / "f"), str(wide / "f")]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        printed = subprocess.run(run, capture_output=True, text=True, check=True, env=env)
    first, second = printed.stdout.splitlines()
    assert "is not writable" in first
    assert "not readable and writable" in second


def test_disk_full(path):
    """When the disk is full the call fails, the file stays whole, and later batches are written."""
    sink = JsonLines(path)
    sink(batch(1))
    before = path.read_bytes()
    child = os.fork()
    if child == 0:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 50, hard))
        code = 1
        try:
            sink(batch(2))
        except OSError:
            code = 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))  # coverage writes its own file at the end
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert path.read_bytes() == before
    sink(batch(3))
    assert numbers(read(path)) == [1, 3]


def test_deleted_file(path):
    """A file deleted under a running service is begun anew."""
    sink = JsonLines(path)
    sink(batch(1))
    path.unlink()
    sink(batch(2))
    assert numbers(read(path)) == [2]


def test_folder_gone(tmp_path):
    """A folder deleted under a running service makes the call fail, so that the batch is kept."""
    (tmp_path / "d").mkdir()
    sink = JsonLines(tmp_path / "d" / "f")
    (tmp_path / "d").rmdir()
    with pytest.raises(FileNotFoundError):
        sink(batch(1))


def test_lock_held_for_ever(path):
    """A lock that a stopped process holds makes writers give up after their patience, and readers read on."""
    sink = JsonLines(path, patience=0)
    sink(batch(1))
    with sink._lock():
        with pytest.raises(TimeoutError, match="held by another process"):
            JsonLines(path, patience=0.05)(batch(2))
        assert numbers(read(path)) == [1]
    sink(batch(3))
    assert numbers(read(path)) == [1, 3]


def test_threads(path):
    """Threads that share a sink, or have one each, lose nothing."""
    shared = JsonLines(path, max_bytes=8192, keep=100)

    def work(start):
        for number in range(start, start + 25):
            (shared if number % 2 else JsonLines(path, max_bytes=8192, keep=100))(batch(number, size=300))

    threads = [threading.Thread(target=work, args=(25 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers(read(path))) == list(range(100))


def test_built_during_rotation(path):
    """A sink is built without complaint while another writer moves the file away and back."""
    JsonLines(path)(batch(1))
    done = threading.Event()

    def rotate():
        while not done.is_set():
            path.rename(f"{path}.1")
            path.with_name(f"{path.name}.1").rename(path)

    thread = threading.Thread(target=rotate)
    thread.start()
    try:
        for _ in range(2000):
            JsonLines(path)
    finally:
        done.set()
        thread.join()
    assert numbers(read(path)) == [1]
