"""The command: what it prints, and the exit codes that gates rely on."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from shadowmig.cli import main
from shadowmig.model import Batch, Finding, Summary, Verdict
from shadowmig.sinks import JsonLines

AT = datetime(2026, 1, 1, tzinfo=UTC)
FINDING = Finding("f" * 16, "m", "get", "$.a", "changed", ("int", "str"), 3, AT, AT)
PREAMBLE = "import sys; from shadowmig.cli import main; "


def summary(verdict, count):
    """Make a summary with one verdict."""
    return Summary("get", verdicts=dict.fromkeys(Verdict, 0) | {verdict: count})


def run(*arguments):
    """Run the command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def python(code, *arguments, **env):
    """Run a program in a process of its own."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **env}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, check=False)


@pytest.fixture
def clean(tmp_path):
    """A file without findings."""
    JsonLines(tmp_path / "clean.jsonl")(Batch("p", "m", "", AT, (), (summary(Verdict.MATCH, 9),)))
    return tmp_path / "clean.jsonl"


@pytest.fixture
def dirty(tmp_path):
    """A file with a finding."""
    JsonLines(tmp_path / "dirty.jsonl")(Batch("q", "m", "", AT, (FINDING,), (summary(Verdict.MISMATCH, 3),)))
    return tmp_path / "dirty.jsonl"


def test_clean(clean):
    """Without findings the exit code is 0."""
    result = run("report", clean)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "get: 9 calls compared, 100 % matched, 0 findings" in result.stdout


def test_findings(dirty):
    """With findings the exit code is 1, unless told otherwise."""
    result = run("report", dirty)
    assert result.exit_code == 1
    assert "$.a" in result.stdout
    assert run("report", dirty, "--fail-on", "never").exit_code == 0


def test_several_files(clean, dirty):
    """Several files, of several processes, make one report."""
    result = run("report", clean, dirty, "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["experiments"][0]["verdicts"]["match"] == 9
    assert report["experiments"][0]["verdicts"]["mismatch"] == 3
    assert [each["count"] for each in report["findings"]] == [3]


def test_rotated_files(tmp_path):
    """Rotated files beside the one named are read too."""
    sink = JsonLines(tmp_path / "f", max_bytes=4096)
    for number in range(9):
        sink(Batch(f"p{number}", "m", " " * 900, AT, (), (summary(Verdict.MATCH, 1),)))
    assert "get: 9 calls compared" in run("report", tmp_path / "f").stdout


@pytest.mark.parametrize(
    "batch",
    [Batch("p", "m", "", AT, (), (summary(Verdict.MISMATCH, 1),)), Batch("p", "m", "", AT, lost=1)],
)
def test_mismatch_without_finding(tmp_path, batch):
    """A mismatch whose finding was not tracked is no success."""
    JsonLines(tmp_path / "f")(batch)
    assert run("report", tmp_path / "f").exit_code == 1


@pytest.mark.parametrize("lines", [1, 15])
def test_skipped_lines(clean, lines):
    """Lines that could not be read are told on the error stream, the first ten one by one."""
    with clean.open("a") as file:
        file.write('{"torn\n' * (lines - 1) + '{"torn')
    result = run("report", clean, "--json")
    assert result.exit_code == 0
    assert f"skipped {clean}, line 3: torn, or not JSON" in result.stderr
    assert len(result.stderr.splitlines()) == min(lines, 11)
    assert ("skipped 5 more lines" in result.stderr) == (lines == 15)
    assert len(json.loads(result.stdout)["skipped_lines"]) == lines


def test_empty(tmp_path):
    """An empty file is no error, and the report says that it holds nothing."""
    (tmp_path / "f").touch()
    result = run("report", tmp_path / "f")
    assert (result.exit_code, result.stdout) == (0, "No calls were recorded.\n")


@pytest.mark.parametrize(
    "content", [None, "some log\n", '{"type":"header","format":"shadowmig.findings","version":9}\n']
)
def test_unreadable(tmp_path, content):
    """A file that is missing, foreign or newer is named in one line, and the exit code is 2."""
    if content is not None:
        (tmp_path / "f").write_text(content)
    result = run("report", tmp_path / "f")
    assert (result.exit_code, result.stdout) == (2, "")
    assert str(tmp_path / "f") in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [["report"], ["report", "f", "--fail-on", "x"], ["nothing"], ["demo", "--calls", "0"]]
)
def test_usage(arguments):
    """Wrong usage exits with 2."""
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage" in result.stderr


def test_help_and_version():
    """The command tells its commands and its version."""
    assert "report" in run("--help").stdout
    assert run("--version").stdout.startswith("shadowmig, version ")


def test_version_without_installation():
    """A checkout that is not installed has no version, which is no error."""
    code = "import importlib.metadata as m\ndef none(_): raise m.PackageNotFoundError\nm.version = none\n" + PREAMBLE
    assert python(code + "main(['--version'])").stdout == b"shadowmig, version unknown (not installed)\n"


def test_pipe_of_another_encoding(tmp_path):
    """A pipe that knows ASCII only gets the report with escapes instead of an error."""
    JsonLines(tmp_path / "f")(Batch("p", "m", "", AT, (), (Summary("caf\u00e9 \u2192"),)))
    result = python(PREAMBLE + "main()", "report", tmp_path / "f", PYTHONIOENCODING="ascii")
    assert (result.returncode, result.stderr) == (0, b"")
    assert rb"caf\xe9 \u2192: nothing compared" in result.stdout
    result = python(PREAMBLE + "main()", "report", "--json", tmp_path / "f", PYTHONIOENCODING="ascii")
    assert json.loads(result.stdout)["experiments"][0]["experiment"] == "caf\u00e9 \u2192"


@pytest.mark.parametrize("package", ["click", "rich"])
def test_without_the_extra(package):
    """Without Click or Rich the module imports, and the command says in one line what to install, and exits with 2."""
    code = f"import sys; sys.modules[{package!r}] = None; from shadowmig.cli import main; main()"
    result = python(code, "report", "f")
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr.decode().splitlines() == [
        f"shadowmig: this command needs {package}; install it with: pip install 'shadowmig[cli]'"
    ]


def test_broken_click(tmp_path):
    """A Click that lacks a part of its own is not mistaken for a missing one."""
    (tmp_path / "click.py").write_text("import nowhere_to_be_found")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import shadowmig.cli"
    assert b"No module named 'nowhere_to_be_found'" in python(code).stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["demo"], "input=None calls=None seed=0 out=None"),
        (["demo", "--input", "IN", "--calls", "5", "--seed", "7", "--out", "o"], "input=IN calls=5 seed=7 out=o"),
    ],
)
def test_demo(tmp_path, arguments, expected):
    """The demo is loaded when it is asked for, gets its options, and its result is the exit code."""
    (tmp_path / "data").touch()
    (tmp_path / "demo.py").write_text(
        "def run(*, input, calls, seed, out):\n    print(f'{input=!s} {calls=} {seed=} {out=!s}')\n    return 7\n"
    )
    code = f"import shadowmig; shadowmig.__path__.insert(0, {str(tmp_path)!r}); {PREAMBLE}main()"
    arguments = [str(tmp_path / "data") if each == "IN" else each for each in arguments]
    result = python(code, *arguments)
    assert (result.returncode, result.stdout.decode().strip()) == (7, expected.replace("IN", str(tmp_path / "data")))
