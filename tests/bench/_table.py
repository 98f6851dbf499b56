"""How benchmarks report: rows of a ratio, the bound it must keep, and the floor it was measured against."""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path

RESULTS = Path(__file__).parents[2] / "build" / "bench"
DOCS = Path(__file__).parents[2] / "docs" / "explanation"
PAGES = {
    "5-write": DOCS / "_benchmarks_writes.md",
    "8-codec": DOCS / "_benchmarks_wire.md",
    "9-events": DOCS / "_benchmarks_wire.md",
}
"""Where the rows of a benchmark go, if not to the page of all others."""
PAGE = DOCS / "_benchmarks.md"


def report(bench: str, rows: list[tuple[str, float, float, str]]) -> None:
    """
    Print rows and keep them for `write_pages`.

    Args:
        bench: Name of the benchmark.
        rows: What was measured, the figure, the most it may be, and the unit or floor it is
            relative to.
    """
    for what, figure, bound, unit in rows:
        mark = "ok" if figure <= bound else "MISSED"
        print(f"{what:64} {figure:9.2f}  <= {bound:<6g} {unit:34} {mark}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{bench}.json").write_text(json.dumps(rows), encoding="utf-8")


MARK = "<!-- table -->"


def write_pages() -> None:
    """Put the tables of the latest results into the docs, below their marks."""
    tables: dict[Path, list[str]] = {}
    for file in sorted(RESULTS.glob("*.json")):
        lines = tables.setdefault(
            PAGES.get(file.stem, PAGE), ["| what | measured | at most | in |", "|---|---|---|---|"]
        )
        for what, figure, bound, unit in json.loads(file.read_text(encoding="utf-8")):
            missed = "" if figure <= bound else " (missed)"
            lines.append(f"| {what} | {figure:.2f}{missed} | {bound:g} | {unit} |")
    machine = f"Measured by `tests/run bench` on Python {platform.python_version()}, {os.cpu_count()} cores."
    for page, lines in tables.items():
        head = page.read_text(encoding="utf-8").partition(MARK)[0]
        page.write_text("\n".join([f"{head}{MARK}\n", machine, "", *lines]) + "\n", encoding="utf-8")
        print(f"wrote {page}")


if __name__ == "__main__":
    write_pages()
    sys.exit(0)
