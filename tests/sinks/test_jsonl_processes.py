"""The findings file among processes: rotation, forks and kills lose nothing that was written."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

from shadowmig.model import Batch
from shadowmig.sinks import JsonLines
from shadowmig.sinks.jsonl import read

AT = datetime(2026, 1, 1, tzinfo=UTC)
PROGRAM = """
import sys
from datetime import UTC, datetime, timedelta
from shadowmig.model import Batch
from shadowmig.sinks import JsonLines
path, source, count, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
sink = JsonLines(path, max_bytes=32768, keep=50)
sys.stdout.write("ready\\n"); sys.stdout.flush()
sys.stdin.readline()
for number in range(count):
    sink(Batch(source, "m", str(number) + " " * size, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)))
    sys.stdout.write(f"{number}\\n"); sys.stdout.flush()
"""


def start(path, source, count, size=0):
    """Start a process that writes batches once it is told to."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path), source, str(count), str(size)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout.readline() == b"ready\n"
    return process


def go(process):
    """Tell it to."""
    process.stdin.write(b"\n")
    process.stdin.flush()


def numbers(result, source):
    """Return the numbers of a source's batches, in the order they were read."""
    return [int(each.label) for each in result.batches if each.source == source]


def test_two_processes(tmp_path):
    """Two programs that rotate one file under each other's hands lose no batch, and each one's stay in order."""
    path = tmp_path / "f.jsonl"
    processes = [start(path, source, 200, 300) for source in "ab"]
    for process in processes:
        go(process)
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    result = read(path)
    assert len(result.files) > 2
    assert result.skipped == ()
    assert numbers(result, "a") == numbers(result, "b") == list(range(200))


def test_reading_while_they_write(tmp_path):
    """A reader at work beside a writer that rotates sees every batch that was written before it came."""
    path = tmp_path / "f.jsonl"
    process = start(path, "a", 300, 300)
    go(process)
    for line in process.stdout:
        written = int(line)
        if written % 20 == 0:
            assert numbers(read(path), "a")[: written + 1] == list(range(written + 1))
    process.communicate()
    assert numbers(read(path), "a") == list(range(300))


def test_prefork(tmp_path):
    """A parent that built the sink and its forked children write one file together."""
    path = tmp_path / "f.jsonl"
    sink = JsonLines(path, max_bytes=16384, keep=50)

    def write(source):
        for number in range(60):
            sink(Batch(source, "m", f"{number}" + " " * 200, AT + timedelta(seconds=number)))

    sink(Batch("before", "m", "0", AT))
    children = []
    for source in "abc":
        child = os.fork()
        if child == 0:
            write(source)
            os._exit(0)
        children.append(child)
    write("parent")
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    result = read(path)
    assert result.skipped == ()
    for source in ("a", "b", "c", "parent"):
        assert numbers(result, source) == list(range(60))


def test_fork_while_the_lock_is_held(tmp_path):
    """A child forked while its parent was writing does not keep the lock."""
    sink = JsonLines(tmp_path / "f.jsonl", patience=0.5)
    with sink._lock():
        ready, done = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(done)
            os.read(ready, 1)
            os._exit(0)
    sink(Batch("a", "m", "1", AT))
    os.close(ready)
    os.close(done)
    os.waitpid(child, 0)
    assert numbers(read(tmp_path / "f.jsonl"), "a") == [1]


def test_sigkill(tmp_path):
    """A process killed at any moment leaves a file that others go on writing, and all it had confirmed is there."""
    path = tmp_path / "f.jsonl"
    for attempt in range(3):
        process = start(path, f"killed{attempt}", 10_000, 2000)
        go(process)
        confirmed = [int(process.stdout.readline()) for _ in range(5 + 7 * attempt)]
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
        assert process.returncode == -signal.SIGKILL
        confirmed += [int(line) for line in rest.splitlines(keepends=True) if line.endswith(b"\n")]
        JsonLines(path, max_bytes=32768, keep=50)(Batch("after", "m", f"{attempt}", AT))
        result = read(path)
        assert set(confirmed) - set(numbers(result, f"killed{attempt}")) == set()
        assert numbers(result, "after") == list(range(attempt + 1))
