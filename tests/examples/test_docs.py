"""The code in the documentation: every block runs, and prints what the page says."""

import contextlib
import io
import json
import re
import sys
import types
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
DOCS = TOP / "docs"
PAGES = sorted(
    path for path in DOCS.rglob("*.md") if "_build" not in path.parts and path.name not in ("index.md", "changelog.md")
)

BLOCK = re.compile(r"^```(?P<kind>\S+)(?: (?P<argument>[^\n]*))?\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r'^:([\w-]+): "?(.*?)"?$', re.MULTILINE)


def included(page, argument, body):
    """Return what a literalinclude shows."""
    text = (page.parent / argument).read_text(encoding="utf-8")
    options = dict(OPTION.findall(body))
    if "start-after" in options:
        _, start, text = text.partition(options["start-after"])
        assert start, f"{argument} has no {options['start-after']!r}"
    if "end-before" in options:
        text, end, _ = text.partition(options["end-before"])
        assert end, f"{argument} has no {options['end-before']!r} after {options.get('start-after')!r}"
    return text


def steps(page, *, with_included):
    """Give the code of a page in order, each with what it must print, or None if the page does not say."""
    blocks = list(BLOCK.finditer(page.read_text(encoding="utf-8")))
    for number, block in enumerate(blocks):
        if block["kind"] == "{literalinclude}":
            code = included(page, block["argument"], block["body"])
            if with_included:
                yield code, None
        elif block["kind"] == "python":
            after = blocks[number + 1] if number + 1 < len(blocks) else None
            yield block["body"], after["body"] if after is not None and after["kind"] == "text" else None


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Give a function that runs the code of a page in one namespace, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)

    def step(code, printed):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(code, "page", "exec"), module.__dict__)
        if printed is not None:
            assert out.getvalue() == printed

    yield step
    for value in list(module.__dict__.values()):
        if type(value).__name__ == "Migration":
            value.close()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_code_of_every_page_runs(page, run):
    """The code written in a page runs from top to bottom and prints what the page says."""
    for code, printed in steps(page, with_included=page.name.startswith("tutorial")):
        run(code, printed)


def test_tutorial_report_exits_with_1(run, tmp_path, monkeypatch, capsys):
    """The file that the tutorial writes makes the report exit with 1, as the tutorial says."""
    from shadowmig.cli import main

    for code, printed in steps(DOCS / "tutorial.md", with_included=True):
        run(code, printed)
    with pytest.raises(SystemExit) as ended:
        main(["report", str(tmp_path / "findings.jsonl")])
    assert ended.value.code == 1
    assert "$.author" in capsys.readouterr().out


def test_pages_have_code():
    """The pages are found, and the tutorial's code with what it prints."""
    assert len(PAGES) > 20
    tutorial = list(steps(DOCS / "tutorial.md", with_included=True))
    assert len(tutorial) > 10
    assert sum(printed is not None for _, printed in tutorial) > 4


def json_block(page, number):
    """Return a JSON block of a page of the reference."""
    blocks = [block["body"] for block in BLOCK.finditer((DOCS / "reference" / page).read_text(encoding="utf-8"))]
    return json.loads([body for body in blocks if body.startswith("{")][number])


def keys_of(value):
    """Return the names of the fields of a document, all the way down; those of counts are data and left out."""
    if isinstance(value, list):
        return [keys_of(value[0])] if value else []
    if not isinstance(value, dict):
        return None
    counts = {"reasons", "errors", "noise", "proofs"}
    return {name: None if name in counts else keys_of(item) for name, item in value.items()}


def test_format_pages_show_what_is_written(run, tmp_path, capsys):
    """The JSON in the reference has just the fields that the file and the report have."""
    from shadowmig.cli import main

    for code, printed in steps(DOCS / "tutorial.md", with_included=True):
        run(code, printed)
    file = tmp_path / "findings.jsonl"
    header, *lines = file.read_text(encoding="utf-8").splitlines()
    assert json.loads(header) == json_block("findings-file.md", 0)
    batches = [batch for batch in map(json.loads, lines) if batch["findings"] and batch["summaries"]]
    batches[-1]["summaries"][0]["rules"] = []
    assert keys_of(batches[-1]) == keys_of(json_block("findings-file.md", 1))

    with pytest.raises(SystemExit):
        main(["report", "--json", str(file)])
    report = json.loads(capsys.readouterr().out)
    shown = json_block("report-json.md", 0)
    report["experiments"] = [one for one in report["experiments"] if one["rules"]]
    assert keys_of({**report, "skipped_lines": shown["skipped_lines"]}) == keys_of(shown)
