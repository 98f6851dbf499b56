"""
What it costs to have another program encode and decode: `ProcessCodec` to the Go program of the examples, in batches.

The floor is what Python's own json takes for the same values one by one, written and read: any codec that asks another
program does that much, for values and data travel as JSON. The best of several rounds counts, because the two programs
share the machine's cores with whatever else runs.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _table import report

from shadowmig.wire.codecs import ProcessCodec

FOLDER = Path(__file__).parents[2] / "examples" / "wire_go"
COUNT = 30_000
ROUNDS = 7
VALUES: list[dict[str, Any]] = [
    {"id": number, "body": f"comment {number}", "score": number % 100, "stickied": False} for number in range(COUNT)
]


def best(work: Callable[[], Any]) -> float:
    """Give the microseconds a value of the quickest round."""
    took = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return min(took) / COUNT * 1e6


def main() -> None:
    """Build the program, run all and print the table."""
    go = shutil.which("go")
    if go is None:
        sys.exit("needs go, to build examples/wire_go")
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/wire-go"
        subprocess.run([go, "build", "-o", program, "."], cwd=FOLDER, check=True)
        with ProcessCodec([program, "--fixed", "json-any"]) as codec:
            data = codec.encode_many(VALUES)
            assert codec.decode_many(data) == VALUES
            floor = best(lambda: [json.loads(json.dumps(value)) for value in VALUES])
            encode = best(lambda: codec.encode_many(VALUES))
            decode = best(lambda: codec.decode_many(data))
    print(f"encode {1e6 / encode:.0f}, decode {1e6 / decode:.0f} values a second")
    unit = "x json.loads(json.dumps(value))"
    report(
        "8-codec",
        [
            ("ProcessCodec to Go, small values in batches: encode", encode, 33.3, "us a value (30,000 a second)"),
            ("ProcessCodec to Go, small values in batches: decode", decode, 33.3, "us a value (30,000 a second)"),
            ("the same, encode", encode / floor, 5.0, unit),
            ("the same, decode", decode / floor, 5.0, unit),
        ],
    )


if __name__ == "__main__":
    main()
