"""The order of the rooms: dependencies point down only, and importing the front door loads nothing heavy."""

import ast
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path

import attrs
import pytest

import shadowmig

SRC = Path(shadowmig.__file__).parent

LAYERS = (
    ("errors", "given", "lazily", "model", "protocols", "side"),
    ("stores", "compare", "sinks"),
    ("wire", "findings"),
    ("engine",),
    ("migration", "corpus", "sweep"),
    ("report", "testing", "demo", "cli", "pytest_plugin", "__init__", "__main__"),
)
"""From the bottom up; ``__init__`` is the front door."""

LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}

HEAVY = (
    "asyncio",  # costs more than all of ours together
    "cattrs",
    "click",
    "deepdiff",
    "psycopg",
    "pymemcache",
    "pytest",
    "redis",
    "rich",
)


def room_of(module: str) -> str | None:
    """Name the room of a module by its dotted name: ``shadowmig.engine.guard`` is in ``engine``; None if not ours."""
    package, *rest = module.split(".")
    if package != "shadowmig":
        return None
    return rest[0] if rest else "__init__"


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Give line and room of each import of ours, those in functions too, but not those for type checkers only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for other in node.orelse:
                yield from imports(ast.Module([other], []))
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, room) for alias in node.names if (room := room_of(alias.name)))
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, room) for name in _sources(node) if (room := room_of(name)))
        yield from imports(node)


def _sources(node: ast.ImportFrom) -> list[str]:
    """Name the modules of ``from module import names``, where a name may be a module itself."""
    assert node.level == 0, f"line {node.lineno}: a relative import hides its room"
    if node.module != "shadowmig":
        return [node.module or ""]
    return [f"shadowmig.{alias.name}" if alias.name in LEVEL else "shadowmig" for alias in node.names]


def upward(room: str, source: str) -> list[tuple[int, str]]:
    """Find the imports of a room's file that do not point down."""
    return [
        (line, other)
        for line, other in imports(ast.parse(source))
        if other != room and (LEVEL[other] > LEVEL[room] or (LEVEL[other] == LEVEL[room] and not _flat(room)))
    ]


def _flat(room: str) -> bool:
    """Whether rooms of this layer may import each other: single files at the bottom, edges at the top."""
    return LEVEL[room] in (0, len(LAYERS) - 1)


def files() -> dict[str, str]:
    """Map each source file's path inside the package to its room."""
    return {
        str(path.relative_to(SRC)): path.relative_to(SRC).parts[0].removesuffix(".py") for path in SRC.rglob("*.py")
    }


def test_each_room_has_a_place():
    """Every file belongs to a room whose place in the order is known."""
    found = files()
    assert len(found) > 3
    assert {room for room in found.values() if room not in LEVEL} == set()


def test_dependencies_point_down():
    """No file imports from a room above its own, or beside it."""
    checked, wrong = 0, []
    for name, room in sorted(files().items()):
        source = (SRC / name).read_text(encoding="utf-8")
        checked += sum(1 for _ in imports(ast.parse(source)))
        wrong += [f"{name}:{line} ({room}) imports {other}" for line, other in upward(room, source)]
    assert wrong == []
    assert checked > 3, "no import of ours was found, so nothing was checked"


def test_no_cycle_of_rooms():
    """No room imports, over however many others, itself."""
    below: dict[str, set[str]] = {}
    for name, room in files().items():
        tree = ast.parse((SRC / name).read_text(encoding="utf-8"))
        below.setdefault(room, set()).update(other for _, other in imports(tree) if other != room)
    while free := {room for room, others in below.items() if not others & below.keys()}:
        below = {room: others for room, others in below.items() if room not in free}
    assert below == {}


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("model", "import shadowmig.engine.guard"),
        ("compare", "from shadowmig.sinks import log"),
        ("findings", "def late():\n    from shadowmig import engine"),
        ("engine", "from shadowmig import Migration"),
        ("engine", "if TYPE_CHECKING:\n    pass\nelse:\n    from shadowmig.migration import Migration"),
    ],
)
def test_upward_import_is_found(room, source):
    """An import that points up or sideways is found, wherever in the file it stands."""
    assert len(upward(room, source)) == 1


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("engine", "from shadowmig import errors, model"),
        ("engine", "from shadowmig.engine.guard import Guard"),
        ("engine", "if TYPE_CHECKING:\n    from shadowmig.migration import Migration"),
        ("model", "import redis, shadowmigrate"),
        ("cli", "from shadowmig import Migration"),
    ],
)
def test_downward_import_is_allowed(room, source):
    """An import that points down, stays in the room, leaves the package or is for type checkers only is fine."""
    assert upward(room, source) == []


def test_front_door_is_light():
    """Importing shadowmig in a fresh interpreter loads no driver and nothing else that costs."""
    program = "import sys, json, shadowmig; print(json.dumps(sorted(sys.modules)))"
    # Measuring coverage would load modules of its own.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    environment["PYTHONPATH"] = str(SRC.parent)
    done = subprocess.run([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, check=True)
    loaded = json.loads(done.stdout)
    assert "shadowmig" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_front_door_lists_its_names():
    """The root lists at most 20 names, sorted, and has each of them."""
    names = shadowmig.__all__
    assert list(names) == sorted(names)
    assert 0 < len(names) <= 20
    assert [name for name in names if not hasattr(shadowmig, name)] == []


def positional(function: Callable[..., object]) -> int:
    """Count the parameters that a caller may give by position, self not among them."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return sum(1 for parameter in parameters if parameter.kind in kinds and parameter.name != "self")


def test_options_are_named():
    """No public function or method takes more than three parameters by position; values, which only hold data, may."""
    checked = {}
    for name in shadowmig.__all__:
        value = getattr(shadowmig, name)
        if isinstance(value, type) and not attrs.has(value) and not issubclass(value, Enum):
            methods = inspect.getmembers(value, inspect.isfunction)
            checked |= {f"{name}.{key}": positional(method) for key, method in methods if key[0] != "_"}
            checked[name] = positional(value)
        elif inspect.isfunction(value):
            checked[name] = positional(value)
    assert checked
    assert [name for name, count in checked.items() if count > 3] == []


def test_no_utils():
    """No module is named for having no duty of its own."""
    assert [name for name in files() if Path(name).stem.strip("_") in ("util", "utils", "helper", "helpers")] == []
