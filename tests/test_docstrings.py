"""
Rules about words that the linter cannot check: a test says in one sentence what holds, and an ignore says why.

That everything public in the package has a docstring is the linter's part (its rules "D").
"""

import ast
import io
import re
from pathlib import Path
from tokenize import COMMENT, generate_tokens

import pytest

import shadowmig

TESTS = Path(__file__).parent
TOP = TESTS.parent
SRC = Path(shadowmig.__file__).parent

DIRECTIVE = re.compile(
    r"(type:\s*ignore(\[[\w, -]+\])?|noqa(:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*)?|pragma:\s*no (cover|branch))", re.IGNORECASE
)

WORD = re.compile(r"[A-Za-z]{2,}")
"""Three of them count as a reason."""

IGNORES = re.compile(r"""(ignore|filterwarnings|exclude_also|"[\w./*]+") = \[""")
"""The opening line of a list of exceptions in pyproject.toml."""

SENTENCE = re.compile(r"[A-Z0-9`*\"'(][^\n]*(\n[^\n]+)*[.!?]")
"""A capital letter, one paragraph, a full stop."""


def one_sentence(docstring: str) -> bool:
    """Whether it is one sentence; a stop inside it, as in ``e.g.``, is not followed by a capital letter."""
    text = docstring.strip()
    return bool(SENTENCE.fullmatch(text)) and not re.search(r"[a-z)`][.!?]\s+[A-Z]", text)


def functions_of(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Find the test functions of a file, those in classes too."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in nodes if isinstance(node, kinds) and node.name.startswith("test_")]


def unexplained(source: str) -> list[str]:
    """Find the comments that switch a rule off and have no words beside it."""
    comments = (token for token in generate_tokens(io.StringIO(source).readline) if token.type == COMMENT)
    return [
        f"line {token.start[0]}: {token.string}"
        for token in comments
        if DIRECTIVE.search(token.string) and len(WORD.findall(DIRECTIVE.sub("", token.string))) < 3
    ]


def unexplained_settings(text: str) -> list[str]:
    """Find the entries of lists of ignores, in the project's settings, that have no reason beside them."""
    found, inside = [], False
    for line in text.splitlines():
        if inside and line.strip() != "]" and len(WORD.findall(line.partition("#")[2])) < 3:
            found.append(line.strip())
        inside = line.strip() != "]" and (inside or bool(IGNORES.fullmatch(line)))
    return found


def test_tests_say_what_holds():
    """Every test function has a docstring of one sentence."""
    checked, wrong = 0, []
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in functions_of(path):
            checked += 1
            if not one_sentence(ast.get_docstring(node) or ""):
                wrong.append(f"{path.relative_to(TESTS)}:{node.lineno} {node.name}")
    assert wrong == []
    assert checked > 20


@pytest.mark.parametrize(
    "docstring",
    ["It holds.", "`MATCH` is, e.g. here, kept.", "A long sentence\nover two lines.", "0.5 seconds are enough."],
)
def test_one_sentence_is_accepted(docstring):
    """One sentence is accepted, with a stop inside it and over two lines too."""
    assert one_sentence(docstring)


@pytest.mark.parametrize("docstring", ["", "no capital.", "No stop", "One. Two.", "A paragraph.\n\nAnother one."])
def test_other_than_one_sentence_is_refused(docstring):
    """Anything else than one sentence is refused."""
    assert not one_sentence(docstring)


def test_ignores_say_why():
    """Every comment that switches a rule off has its reason beside it."""
    sources = [path for folder in (SRC, TESTS, TOP / "examples", TOP / "docs") for path in sorted(folder.rglob("*.py"))]
    wrong = {path.name: found for path in sources if (found := unexplained(path.read_text(encoding="utf-8")))}
    assert wrong == {}
    assert len(sources) > 20


def test_settings_say_why():
    """Every entry of a list of ignores in pyproject.toml has its reason beside it."""
    text = (TOP / "pyproject.toml").read_text(encoding="utf-8")
    assert len(re.findall(IGNORES.pattern, text, re.MULTILINE)) > 3
    assert unexplained_settings(text) == []


def test_missing_reason_is_found():
    """An ignore without words beside it is found, in code and in settings."""
    assert unexplained("x = 1  # " + "noqa: E501\n") == ["line 1: # " + "noqa: E501"]
    assert unexplained("x = 1  # " + "type: ignore[misc]\n") != []
    assert unexplained("x = 1  # " + "pragma: no cover\n") != []
    assert unexplained("x = 1  # " + "noqa: E501 - a link that cannot be broken\n") == []
    assert unexplained_settings('ignore = [\n  "E501",\n]\nselect = [\n  "E",\n]') == ['"E501",']
