"""
What the demo prints: what it is about, progress, the report, and whether all planted defects were found.

Made for 80 columns; in a pipe there is neither colour nor a progress bar.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from shadowmig.demo.defects import Defect
from shadowmig.demo.play import Outcome
from shadowmig.model import Verdict
from shadowmig.report._numbers import number, plural
from shadowmig.report.terminal import print_report
from shadowmig.sinks._printable import printable


class Screen:
    """Where the demo prints: standard output as it is when this is built."""

    def __init__(self) -> None:
        # A pipe may have any encoding; a letter that it lacks must not end the demo.
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
        self._console = Console(highlight=False, markup=False, emoji=False)

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style, overflow="fold"))

    def open(self, comments: Sequence[Mapping[str, Any]], defects: Sequence[Defect], source: Path | None) -> None:
        """Say what is going to be shown."""
        distinct = len({each["id"] for each in comments})
        origin = "made up" if source is None else f"from {printable(str(source), 200)}"
        self._say("A comments service is being rewritten.", "bold")
        self._say(
            f"The old one is Python, the new one answers as Go would, with {plural(len(defects), 'planted defect')}. "
            f"Both read one store of {plural(distinct, 'comment')}, {origin}, which editors change meanwhile. "
            "Users get the old answers; shadowmig compares."
        )
        if distinct < len(comments):
            self._say(f"{plural(len(comments) - distinct, 'line')} had the id of a later one and gave way to it.")
        self._console.print()

    @contextmanager
    def progress(self) -> Iterator[Callable[[int, int], None]]:
        """Show a bar while the context lasts, if this is a terminal; give what moves it."""
        if not self._console.is_terminal:
            yield lambda done, total: None
            return
        columns = TextColumn("calls"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task("calls", total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    def close(self, outcome: Outcome, out: Path | None) -> None:
        """Print the report, and what it is worth."""
        print_report(outcome.findings, outcome.summaries, self._console)
        self._console.print()
        if outcome.defects:
            self._console.print(_defects_table(outcome))
        for line in _sentences(outcome):
            self._say(line)
        self._console.print()
        self._verdict(outcome)
        if out is not None:
            self._say(f"The findings are in a file. See them again: shadowmig report {shlex.quote(str(out))}")
        elif not outcome.interrupted:
            self._say("To keep the findings: shadowmig demo --out FILE, then shadowmig report FILE")

    def _verdict(self, outcome: Outcome) -> None:
        if outcome.interrupted:
            self._say(f"Stopped after {plural(outcome.calls, 'call')}.", "bold yellow")
            return
        for alarm in outcome.truth.alarms:
            self._say(f"Wrong: {printable(alarm)}", "red")
        for finding in outcome.unexplained():
            self._say(f"Wrong: nobody planted {finding.experiment} {printable(finding.path)}: {finding.kind}", "red")
        for defect in outcome.missed():
            self._say(f"Wrong: {defect.name} is in no finding", "red")
        if not outcome.complete:
            self._say("Wrong: not every call was judged in time", "red")
        if not outcome.as_it_must_be:
            self._say("This is not as it must be.", "bold red")
            return
        found = sum(1 for each in outcome.defects if outcome.found(each))
        self._say(_praise(found, len(outcome.defects)), "bold green")


def _praise(found: int, planted: int) -> str:
    if not planted:
        return "Nothing was planted, and nothing was reported."
    if found == planted:
        return f"All {planted} planted defects were found, and nothing else was reported."
    return (
        f"{found} of {planted} planted defects were found, and nothing else was reported. "
        "No call could show the others; the table says why."
    )


def _sentences(outcome: Outcome) -> list[str]:
    counts = {verdict: outcome.count(verdict) for verdict in Verdict}
    compared = counts[Verdict.MATCH] + counts[Verdict.MISMATCH] + counts[Verdict.IGNORED]
    calls = (
        f"{plural(outcome.calls, 'call')} in {outcome.seconds:.1f} seconds, with {plural(outcome.edits, 'edit')} "
        f"meanwhile: {number(compared)} compared, {number(counts[Verdict.RACED])} raced, "
        f"{number(counts[Verdict.SKIPPED])} shed, {number(counts[Verdict.BROKEN])} could not be compared."
    )
    races = (
        f"In {plural(outcome.truth.all_raced(), 'call')} something was edited between the two reads; "
        f"{number(outcome.truth.raced_as_mismatch)} of these were reported as a mismatch."
    )
    used = [f"{rule.rule} {number(rule.used)}" for summary in outcome.summaries for rule in summary.rules if rule.used]
    rules = f"Harmless differences that rules took care of: {', '.join(used)}."
    return [calls, races, *([rules] if used else [])]


def _defects_table(outcome: Outcome) -> Table:
    table = Table(title="Planted defects", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("Defect", overflow="fold", ratio=5)
    table.add_column("Found at", overflow="fold", ratio=4)
    table.add_column("Spoiled", justify="right", no_wrap=True)
    table.add_column("Found", justify="right", no_wrap=True)
    table.add_column("First", justify="right", no_wrap=True)
    for defect in outcome.defects:
        what = Text.assemble((defect.name.replace("_", " "), "bold"), "\n", defect.description)
        table.add_row(what, *_row(outcome, defect))
    table.caption = "Spoiled: calls whose answer the defect changed. Found: calls reported for it; in the others "
    table.caption += "something was edited meanwhile, or a larger difference at the same place came first."
    table.caption_justify = "left"
    return table


def _row(outcome: Outcome, defect: Defect) -> tuple[Text | str, ...]:
    spoiled, seen = outcome.truth.times_spoiled(defect), outcome.truth.sightings.get(defect)
    if not spoiled:
        return Text("did not show: no call met its condition", "dim"), "0", "0", ""
    if seen is None:
        return Text("did not show: edits went on in all calls that met its condition", "dim"), number(spoiled), "0", ""
    findings = sorted(outcome.found(defect), key=lambda finding: finding.path)
    places = [Text(f"{finding.path}: {finding.kind}", "cyan") for finding in findings]
    where = Text("\n").join([Text(defect.endpoint), *places]) if places else Text("NOT FOUND", "red")
    return where, number(spoiled), number(seen.calls), f"call {number(seen.first)}"
