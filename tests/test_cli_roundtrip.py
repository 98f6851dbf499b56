"""The ``roundtrip`` command: what it prints, and the exit codes that gates rely on."""

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from shadowmig.cli import main

MODULE = """
import json
def encode(value): return json.dumps(value).encode()
def floats(data): return json.loads(data, parse_int=lambda text: int(float(text)))
def breaks(value): return "text"
def raises():
    yield {"a": 1}
    raise RuntimeError("not today")
def leaves():
    yield {"a": 1}
    raise SystemExit(0)
def endless():
    while True: yield {"a": 1}
"""

SPEC = """
[writers.python]
python = "round_trip_module:encode"
[readers.python]
codec = "json"
[readers.floats]
python = "round_trip_module:floats"
[values]
recorded = "values.jsonl"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a spec that has a fault in one of three values."""
    (tmp_path / "round_trip_module.py").write_text(MODULE)
    (tmp_path / "values.jsonl").write_text('{"a": 1}\n{"a": {"$int": "9007199254740993"}, "b": 5}\n{"b": 2}\n')
    (tmp_path / "spec.toml").write_text(SPEC)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("round_trip_module", None)


def run(*arguments):
    """Run the command in this process."""
    return CliRunner().invoke(main, ["roundtrip", *map(str, arguments)])


def test_faults(folder):
    """With faults the exit code is 1, unless told otherwise, and the report says where they are."""
    result = run(folder / "spec.toml")
    assert (result.exit_code, result.stderr) == (1, "")
    assert "integer above 2**53 lost precision" in result.stdout
    assert "        1 x python -> floats" in result.stdout
    assert "value   {'a': 9007199254740993}" in result.stdout
    assert run(folder / "spec.toml", "--fail-on", "never").exit_code == 0


def test_json(folder):
    """The report can be had as JSON."""
    result = run(folder / "spec.toml", "--json", "--seed", 7)
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["format"], told["seed"], told["values"]) == ("shadowmig.roundtrip", 7, 3)
    assert [fault["name"] for fault in told["faults"]] == ["integer above 2**53 lost precision"]


def test_no_faults(folder):
    """Without faults the exit code is 0."""
    result = run(folder / "spec.toml", "--values", 1)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "no faults" in result.stdout


def test_could_not_tell(folder):
    """What could not be told has the exit code 2, and never 0."""
    spec = folder / "spec.toml"
    spec.write_text(SPEC.replace(":encode", ":breaks"))
    result = run(spec)
    assert result.exit_code == 2
    assert "it could not be told" in result.stderr
    assert "not bytes" in result.stdout
    assert run(spec, "--fail-on", "never").exit_code == 2
    (folder / "values.jsonl").write_text("")
    spec.write_text(SPEC)
    assert run(spec).exit_code == 2


@pytest.mark.parametrize(("name", "told"), [("raises", "RuntimeError: not today"), ("leaves", "SystemExit: 0")])
def test_values_that_end_in_an_error(folder, name, told):
    """Values that raise have the exit code 2 and one line, whatever they raise: a gate must not take it for 0 or 1."""
    spec = folder / "spec.toml"
    spec.write_text(SPEC.replace('recorded = "values.jsonl"', f'python = "round_trip_module:{name}"'))
    result = run(spec)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"shadowmig: the values raised {told}\n"


def test_time_runs_out(folder):
    """What could be checked within the time is reported, with a word on the rest."""
    spec = folder / "spec.toml"
    spec.write_text(SPEC.replace('recorded = "values.jsonl"', 'python = "round_trip_module:endless"'))
    result = run(spec, "--seconds", 0.2)
    assert result.exit_code == 0
    assert "time ran out after" in result.stderr


@pytest.mark.parametrize("text", ["[writers", "[writers.a]\ncodec = 'bson'", SPEC.replace("values.jsonl", "nowhere")])
def test_wrong_spec(folder, text):
    """A wrong spec is told in one line, and the exit code is 2."""
    (folder / "spec.toml").write_text(text)
    result = run(folder / "spec.toml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1


def test_line_that_cannot_be_read(folder):
    """A recorded line that cannot be read is told too."""
    (folder / "values.jsonl").write_text('{"a": 1}\nnonsense\n')
    result = run(folder / "spec.toml")
    assert result.exit_code == 2
    assert "line 2 cannot be read" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["s", "--values", "0"], ["s", "--seconds", "0"], ["s", "--fail-on", "x"]])
def test_usage(arguments):
    """Wrong usage exits with 2."""
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage" in result.stderr


def test_pipe_of_another_encoding(folder):
    """A pipe that knows ASCII only gets the report with escapes instead of an error."""
    (folder / "values.jsonl").write_text('{"caf\\u00e9": {"$int": "9007199254740993"}}\n')
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-c", "from shadowmig.cli import main; main()", "roundtrip", str(folder / "spec.toml")]
    done = subprocess.run(command, env=env, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (1, b"")
    assert rb"$.caf\xe9" in done.stdout
