"""
The ``shadowmig`` command.

Danger: it is installed even without the ``cli`` extra, so this module must import without Click and Rich and then say
what to install. Its exit codes are used by gates: 0 no findings, 1 findings, 2 could not tell.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shadowmig.errors import RecordError

if TYPE_CHECKING:
    from shadowmig.model import Finding, Summary
    from shadowmig.sinks.jsonl import Skipped

main: Callable[..., Any]
"""The command; a Click group when Click and Rich are installed."""

_TOLD_SKIPPED = 10


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("shadowmig")
    except PackageNotFoundError:
        return "unknown (not installed)"


def _tell_skipped(skipped: Sequence[Skipped]) -> None:
    from shadowmig.sinks._printable import printable

    for each in skipped[:_TOLD_SKIPPED]:
        _complain(f"skipped {printable(each.file)}, line {each.line}: {printable(each.reason)}")
    if len(skipped) > _TOLD_SKIPPED:
        _complain(f"skipped {len(skipped) - _TOLD_SKIPPED} more lines")


def _complain(message: str) -> None:
    sys.stderr.write(f"shadowmig: {message}\n")


def _report(files: Sequence[Path], *, as_json: bool, fail_on: str) -> int:
    """Print the report on files and return the exit code."""
    from shadowmig.findings.merge import lost, merge
    from shadowmig.sinks._printable import printable
    from shadowmig.sinks.jsonl import read

    try:
        result = read(*files)
    except RecordError as error:
        _complain(printable(str(error), 2000))
        return 2
    _tell_skipped(result.skipped)
    findings, summaries = merge(result.batches)
    untracked = lost(result.batches)
    if as_json:
        from shadowmig.report.jsonable import to_jsonable

        report = to_jsonable(findings, summaries, lost=untracked, skipped=result.skipped)
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        _print(findings, summaries, untracked)
    return 1 if fail_on == "mismatch" and _has_mismatches(findings, summaries, untracked) else 0


def _roundtrip(spec: str, *, values: int | None, seconds: float, seed: int, as_json: bool, fail_on: str) -> int:
    """Run a round trip, print its report and return the exit code."""
    from shadowmig.errors import ConfigError
    from shadowmig.sinks._printable import printable
    from shadowmig.wire.spec import load

    try:
        loaded = load(spec)
        try:
            report = loaded.trip.check(loaded.values, count=values or loaded.count, seconds=seconds, seed=seed)
        finally:
            loaded.close()
    except ConfigError as error:
        _complain(printable(str(error), 2000))
        return 2
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the values are the user's code, and 1 would be a fault
        _complain(printable(f"the values raised {type(error).__name__}: {error}", 2000))
        return 2
    _any_encoding()
    sys.stdout.write(json.dumps(report.to_json(), indent=2) + "\n" if as_json else f"{report}\n")
    if not report.complete:
        _complain(f"time ran out after {report.values} values; give more --seconds")
    if report.faults:
        return 1 if fail_on == "fault" else 0
    if not report.conclusive:
        _complain("it could not be told: see what was broken, refused, or not checked at all")
    return 0 if report.conclusive else 2


def _any_encoding() -> None:
    """Have a pipe take any text: an arrow that its encoding lacks must not end the report."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _print(findings: Sequence[Finding], summaries: Sequence[Summary], untracked: int) -> None:
    from rich.console import Console

    from shadowmig.report.terminal import print_report

    _any_encoding()
    print_report(findings, summaries, Console(highlight=False, markup=False, emoji=False), lost=untracked)


def _has_mismatches(findings: Sequence[Finding], summaries: Sequence[Summary], untracked: int) -> bool:
    from shadowmig.model import Verdict

    # A mismatch without a finding is one whose finding was not tracked, or went with a lost file.
    return bool(findings or untracked or any(summary.verdicts.get(Verdict.MISMATCH) for summary in summaries))


try:
    import click
    import rich as _rich  # noqa: F401 - only whether it is there
except ModuleNotFoundError as _error:
    if _error.name not in {"click", "rich"}:
        raise
    _lacking = _error.name

    def _main_without(*_: object, **__: object) -> None:
        _complain(f"this command needs {_lacking}; install it with: pip install 'shadowmig[cli]'")
        raise SystemExit(2)

    main = _main_without
else:

    @click.group(name="shadowmig")
    @click.version_option(_version(), prog_name="shadowmig")
    def _group() -> None:
        """Prove on real traffic that a new implementation does what the old one does."""

    @_group.command()
    @click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
    @click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
    @click.option(
        "--fail-on",
        type=click.Choice(["mismatch", "never"]),
        default="mismatch",
        show_default=True,
        help="When to exit with 1.",
    )
    @click.pass_context
    def report(ctx: click.Context, *, files: tuple[Path, ...], as_json: bool, fail_on: str) -> None:
        """
        Report the findings in FILE... as JsonLines wrote them.

        Rotated files beside each FILE are read too, and all are merged. Exits with 0 if there are no findings, 1 if
        there are, 2 if a file cannot be read.
        """
        ctx.exit(_report(files, as_json=as_json, fail_on=fail_on))

    @_group.command()
    @click.option(
        "--input",
        "source",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Data to play; a built-in set if not given.",
    )
    @click.option("--calls", type=click.IntRange(min=1), metavar="N", help="Number of calls to make.")
    @click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Seed of all randomness.")
    @click.option(
        "--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Findings file to write."
    )
    @click.pass_context
    def demo(ctx: click.Context, *, source: Path | None, calls: int | None, seed: int, out: Path | None) -> None:
        """Show a migration with planted bugs, and what is found."""
        from importlib import import_module

        ctx.exit(import_module("shadowmig.demo").run(input=source, calls=calls, seed=seed, out=out))

    @_group.command()
    @click.argument("spec")
    @click.option(
        "--values", type=click.IntRange(min=1), metavar="N", help="Most values; the spec's number if not given."
    )
    @click.option(
        "--seconds",
        type=click.FloatRange(min=0, min_open=True),
        default=60.0,
        show_default=True,
        metavar="S",
        help="Limit of time.",
    )
    @click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Seed of the values.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
    @click.option(
        "--fail-on",
        type=click.Choice(["fault", "never"]),
        default="fault",
        show_default=True,
        help="When to exit with 1.",
    )
    @click.pass_context
    def roundtrip(
        ctx: click.Context, *, spec: str, values: int | None, seconds: float, seed: int, as_json: bool, fail_on: str
    ) -> None:
        """
        Give every writer's bytes to every reader, as SPEC says.

        SPEC is a TOML file, or package.module:object. Exits with 0 if there are no faults, 1 if there are, 2 if it
        could not be told.
        """
        ctx.exit(_roundtrip(spec, values=values, seconds=seconds, seed=seed, as_json=as_json, fail_on=fail_on))

    main = _group
