"""Round trips between the legacy service in Python and a real service in Go."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
from wire_go_support import FOLDER, legacy, wire_go_program  # noqa: F401 - one of them is a fixture

from shadowmig.wire.roundtrip import CLASSES

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "between-languages.md"


@pytest.fixture
def found(monkeypatch):
    """Give the module that prints the table."""
    monkeypatch.setitem(sys.modules, "comment", legacy)
    spec = importlib.util.spec_from_file_location("wire_go_found", FOLDER / "found.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.timeout(300)
def test_as_first_written(wire_go_program, found):  # noqa: F811 - the fixture of that name
    """Generated values alone show at least 25 kinds of incompatibility by name, with a value for each."""
    for seconds in (2, 5, 12):  # a busy machine needs more; the fourfold of it is what is allowed
        reports = found.found(str(wire_go_program), seconds=seconds, count=100)
        names = {fault.name for report in reports.values() for fault in report.faults}
        if len(names) >= 25:
            break
    assert len(names) >= 25
    assert names <= set(CLASSES)
    assert not any(report.ok for report in reports.values())
    rows = list(found.table(reports))[2:]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == sorted(names)


@pytest.mark.timeout(300)
def test_with_mistakes_corrected(wire_go_program, found):  # noqa: F811 - the fixture of that name
    """Nothing is found once the mistakes in Go are corrected."""
    reports = found.found(str(wire_go_program), "--fixed", seconds=60, count=60)
    assert {name: report.ok for name, report in reports.items()} == dict.fromkeys(found.FORMATS, True)
    assert all(report.values > 30 for report in reports.values())


def test_the_page_names_real_classes():
    """The page on what was found names classes that there are, and many."""
    names = re.findall(r"^\| ([^|]+?) \| (?:json|msgpack|protobuf)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(names) >= 25
    assert set(names) <= set(CLASSES)
