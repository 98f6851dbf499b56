"""
What shadowmig costs the process around it: another handler's latency, memory, and the time to import it.

The neighbour is a loopback echo server in the same process that decodes and encodes JSON; its client is another
process, so that only the server competes with us. Idle and busy rounds alternate, and the load of making the calls is
there in both: only the decorator differs.
"""

from __future__ import annotations

import json
import resource
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from _comments import again, comment
from _table import report

from shadowmig import Migration
from shadowmig.engine import Threads

ROUNDS = 8
SECONDS = 3.0
RATE = 200
COMMENT = comment()

CLIENT = """
import json, socket, sys, time
port, seconds, body = int(sys.argv[1]), float(sys.argv[2]), sys.stdin.read().encode() + b"\\n"
connection = socket.create_connection(("127.0.0.1", port))
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
stream = connection.makefile("rwb", buffering=0)
took, end = [], time.perf_counter() + seconds
while time.perf_counter() < end:
    started = time.perf_counter_ns()
    stream.write(body)
    stream.readline()
    took.append((time.perf_counter_ns() - started) / 1000)
    time.sleep(0.001)
print(json.dumps(took))
"""


def serve(listener: socket.socket) -> None:
    """Echo JSON lines, one connection at a time."""
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as lines:
            for line in lines:
                connection.sendall(json.dumps(json.loads(line)).encode() + b"\n")


def call_steadily(function: Callable[[int], Any], stop: threading.Event) -> None:
    """Make calls at a steady rate."""
    number, due = 0, time.perf_counter()
    while not stop.is_set():
        function(number)
        number += 1
        due += 1 / RATE
        time.sleep(max(0.0, due - time.perf_counter()))


def measure(port: int, function: Callable[[int], Any]) -> tuple[float, float]:
    """Give the neighbour's median and 99th percentile (microseconds) while these calls are made."""
    stop = threading.Event()
    caller = threading.Thread(target=call_steadily, args=(function, stop))
    caller.start()
    try:
        done = subprocess.run(
            [sys.executable, "-c", CLIENT, str(port), str(SECONDS)],
            input=json.dumps(COMMENT),
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        stop.set()
        caller.join()
    took = sorted(json.loads(done.stdout))
    return statistics.median(took), took[int(len(took) * 0.99)]


def neighbour() -> list[tuple[str, float, float, str]]:
    """Measure another handler while 200 comparisons a second, one in ten a mismatch, go on."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    port = listener.getsockname()[1]

    def handler(number: int) -> Any:
        return COMMENT

    def candidate(number: int) -> Any:
        answer = again(COMMENT)
        if number % 10 == 0:
            answer["score"] += 1
        return answer

    def both(number: int) -> Any:
        """Run what the decorated handler runs, without us."""
        candidate(number)
        return handler(number)

    idle, busy = [], []
    with Migration("bench", sinks=[]) as migration:
        decorated = migration.read(handler, candidate=candidate, name="get")
        measure(port, decorated)
        for _ in range(ROUNDS):
            idle.append(measure(port, both))
            busy.append(measure(port, decorated))
        assert migration.flush(30)
        summary = migration.stats().experiments["get"]
    print(f"(compared {summary.calls} calls, of them {sum(summary.reasons.values())} not judged: {summary.reasons})")
    p50, p99 = (statistics.median(b[n] / a[n] for a, b in zip(idle, busy, strict=True)) for n in (0, 1))
    return [
        ("another handler's median during 200 comparisons a second", p50, 1.2, "x the same calls without us"),
        ("another handler's 99th percentile", p99, 2.0, "x the same calls without us"),
    ]


def memory() -> list[tuple[str, float, float, str]]:
    """Measure how much a million sampled calls with a candidate that hangs add to the process."""
    queue = 1000
    snapshot = len(json.dumps(COMMENT))
    with Migration("bench", sinks=[], runner=Threads(queue=queue)) as migration:
        get = migration.read(lambda n: COMMENT, candidate=lambda n: time.sleep(3600), deadline=3600, name="get")
        get(0)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(1_000_000):
            get(number)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        shed = migration.stats().experiments["get"].reasons["skipped:shed"]
        migration.close(0.1)
    print(f"(of a million calls {shed} were shed; queue {queue}, answer {snapshot} bytes)")
    bound = round(queue * snapshot / 2**20 + 20, 1)
    return [("memory of a million sampled calls, candidate hanging", grown, bound, "MB: queue x answer + 20")]


def importing() -> list[tuple[str, float, float, str]]:
    """Measure the time to import the package over starting Python, the best of many."""

    def start(program: str) -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True)
        return (time.perf_counter() - started) * 1000

    programs = ("pass", "import shadowmig", "from shadowmig import Migration")
    best = {program: min(start(program) for _ in range(15)) for program in programs}
    bare = best["pass"]
    return [
        ("import shadowmig", best["import shadowmig"] - bare, 40, "ms over bare Python"),
        ("from shadowmig import Migration", best[programs[2]] - bare, 120, "ms over bare Python"),
    ]


def main() -> None:
    """Run all and print the table."""
    report("3-process", [*neighbour(), *memory(), *importing()])


if __name__ == "__main__":
    main()
