"""
The report people read in a terminal, or in the file or pager it is piped to.

Danger: all text in it came from traffic. Every piece goes through `printable` and `Text`, so that neither escape
sequences nor Rich's markup in a value can act. Rich is imported at the first report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from shadowmig.model import Finding, Summary, Verdict
from shadowmig.report._numbers import compared, number, of_experiment, only_weak, percent, plural
from shadowmig.sinks._printable import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_VALUE = 160
"""Characters of a value shown; ``--json`` has all that was kept."""

_MOST_NOISE = 5
"""Noisy paths of one experiment shown; ``--json`` has all."""

_ENOUGH_CALLS = 100
"""Compared calls after which a rule that never took effect is worth a word."""


def print_report(findings: Sequence[Finding], summaries: Sequence[Summary], console: Console, *, lost: int = 0) -> None:
    """
    Print a report.

    Made for 80 columns and more; without colours and other sequences when the console is no terminal.

    Args:
        findings: As `shadowmig.findings.merge` returns them.
        summaries: The same.
        console: Where to print.
        lost: Occurrences of findings that were not tracked.
    """
    if findings:
        console.print(_findings_table(findings))
        console.print()
    if summaries:
        console.print(_verdicts_table(summaries))
        console.print()
    for title, lines in (
        ("Calls without a comparison, by reason", _reasons(summaries)),
        ("Noise: control disagrees with itself here, so the comparison is blind", _noise(summaries)),
        ("Rules to look at", _rules(summaries)),
        ("Internal errors: ours, not the candidate's", _errors(summaries)),
    ):
        _section(console, title, lines)
    for summary in summaries:
        console.print(_text(sentence(summary, of_experiment(findings, summary.experiment)), limit=1000))
    if not findings and not summaries:
        console.print(_text("No calls were recorded."))
    if lost:
        console.print(
            _text(f"The tally was full: {plural(lost, 'occurrence')} of further findings were not tracked.", "yellow")
        )


def sentence(summary: Summary, findings: int) -> str:
    """
    Return one plain line on an experiment, such as ``get_comment: 12 345 calls compared, 99.2 % matched, 3 findings``.

    Args:
        summary: Its counts.
        findings: How many findings it has.
    """
    name = printable(summary.experiment, 100)
    total = compared(summary)
    if not total:
        return f"{name}: nothing compared, {plural(summary.calls, 'sampled call')}, {plural(findings, 'finding')}"
    parts = [
        f"{plural(total, 'call')} compared",
        f"{percent(summary.verdicts.get(Verdict.MATCH, 0), total)} matched",
        plural(findings, "finding"),
    ]
    ignored = summary.verdicts.get(Verdict.IGNORED, 0)
    if ignored:
        parts.insert(2, f"{percent(ignored, total)} differed only where a rule ignores it")
    return f"{name}: {', '.join(parts)}"


def _text(text: str, style: str = "", limit: int = 500) -> Text:
    from rich.text import Text

    return Text(printable(text, limit), style=style, overflow="fold")


def _lines(*texts: Text) -> Text:
    from rich.text import Text

    return Text("\n", overflow="fold").join(text for text in texts if text.plain)


def _table(title: str) -> Table:
    from rich import box
    from rich.table import Table

    return Table(title=_text(title), title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=0)


def _findings_table(findings: Sequence[Finding]) -> Table:
    table = _table(plural(len(findings), "finding"))
    several = len({finding.migration for finding in findings}) > 1
    table.add_column("Calls", justify="right", no_wrap=True)
    table.add_column("Where and what", overflow="fold", ratio=4)
    table.add_column("Example", overflow="fold", ratio=5)
    table.add_column("Seen (UTC)", overflow="fold", min_width=16, max_width=22)
    for finding in findings:
        table.add_row(_text(number(finding.count)), _what(finding, several=several), _example(finding), _seen(finding))
        table.add_row()  # rows of several lines need air between them
    return table


def _what(finding: Finding, *, several: bool) -> Text:
    return _lines(
        _text(f"{finding.migration}: {finding.experiment}" if several else finding.experiment, "bold", 200),
        _text(f"{finding.store} {finding.record}" if finding.store else "", "magenta", 200),
        _text(finding.path, "cyan"),
        _text(f"{finding.kind}: {finding.types[0]} -> {finding.types[1]}"),
        _text(finding.fingerprint, "dim", 40),
    )


def _example(finding: Finding) -> Text:
    if not finding.examples:
        return _text("")
    example = finding.examples[0]
    return _lines(
        _text(f"control   {example.control}", "green", _VALUE),
        _text(f"candidate {example.candidate}", "red", _VALUE),
        _text(example.record, "dim", 200),
        _text(f"at {example.path}" if example.path != finding.path else "", "dim"),
        _text(f"called with {example.arguments}" if example.arguments else "", "dim", 200),
        _text(example.note, "italic", 300),
    )


def _seen(finding: Finding) -> Text:
    proofs = ", ".join(f"{name} {number(count)}" for name, count in finding.proofs.items())
    return _lines(
        _text(f"{finding.first_seen:%Y-%m-%d %H:%M}"),
        _text(f"{finding.last_seen:%Y-%m-%d %H:%M}"),
        _text(f"label {finding.label}" if finding.label else "", limit=100),
        _text(f"proof: {proofs}" if proofs else "", limit=200),
        _text("weak proof only" if only_weak(finding) else "", "yellow"),
    )


def _verdicts_table(summaries: Sequence[Summary]) -> Table:
    table = _table("Verdicts")
    table.add_column("Experiment", overflow="fold", ratio=1)
    table.add_column("Stage", no_wrap=True)
    for verdict in Verdict:
        table.add_column(verdict.value, justify="right", no_wrap=True)
    for summary in summaries:
        counts = [_text(number(summary.verdicts.get(verdict, 0))) for verdict in Verdict]
        table.add_row(_text(summary.experiment, "bold", 200), _text(summary.stage.value), *counts)
    return table


def _reasons(summaries: Sequence[Summary]) -> list[str]:
    return [f"{each.experiment}: {line}" for each in summaries for line in _counted(each.reasons)]


def _noise(summaries: Sequence[Summary]) -> list[str]:
    lines = []
    for each in summaries:
        counted = _counted(each.noise)
        lines += [f"{each.experiment}: {line}" for line in counted[:_MOST_NOISE]]
        if len(counted) > _MOST_NOISE:
            lines.append(f"{each.experiment}: and {plural(len(counted) - _MOST_NOISE, 'more path')}")
    return lines


def _errors(summaries: Sequence[Summary]) -> list[str]:
    return [f"{each.experiment}: {line}" for each in summaries for line in _counted(each.errors)]


def _counted(counts: Mapping[str, int]) -> list[str]:
    return [f"{name}, {plural(count, 'time')}" for name, count in sorted(counts.items(), key=lambda item: -item[1])]


def _rules(summaries: Sequence[Summary]) -> list[str]:
    lines = []
    for summary in summaries:
        for rule in summary.rules:
            reason = f" (because: {rule.reason})" if rule.reason else ""
            if rule.expired:
                lines.append(f"{summary.experiment}: {rule.rule} has expired and ignores no more{reason}")
            elif not rule.used:
                few = "" if compared(summary) >= _ENOUGH_CALLS else " yet; few calls were compared"
                lines.append(f"{summary.experiment}: {rule.rule} never took effect{few}{reason}")
    return lines


def _section(console: Console, title: str, lines: Sequence[str]) -> None:
    if lines:
        console.print(_text(title, "bold"))
        for line in lines:
            console.print(_text(f"  {line}"))
        console.print()
