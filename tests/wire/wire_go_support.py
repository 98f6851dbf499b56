"""
The Go program of ``examples/wire_go``, built once in a session, and the legacy side of it.

A test takes `wire_go`. Without Go, or without its modules and no network, it is skipped, and with CI set it fails.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from shadowmig.wire.codecs.process import ProcessCodec

FOLDER = Path(__file__).parents[2] / "examples" / "wire_go"


def _load() -> ModuleType:
    # Under a name of its own: "comment" could be anybody's, and pickles of its classes name it.
    spec = importlib.util.spec_from_file_location("wire_go_comment", FOLDER / "comment.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


legacy = _load()
"""The legacy service's module, ``examples/wire_go/comment.py``."""


def missing(what: str) -> None:
    """Skip the test, or in CI fail."""
    if os.environ.get("CI"):
        pytest.fail(f"CI needs {what}", pytrace=False)
    pytest.skip(f"needs {what}")


@cache
def build(folder: Path, package: str = ".") -> Path:
    """Build one of the programs into a folder, once."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        missing("go, to build examples/wire_go")
    program = folder / f"wire-go-{Path(package).name or 'all'}"
    modules = "the modules of examples/wire_go"
    for arguments, what in ((["mod", "download"], modules), (["build", "-o", str(program), package], "")):
        done = subprocess.run([str(go), *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            if what:
                missing(f"{what}: {done.stderr[-300:]}")
            pytest.fail(f"go {arguments[0]}: {done.stderr}", pytrace=False)
    return program


@pytest.fixture(scope="session")
def wire_go_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of the program."""
    return build(tmp_path_factory.getbasetemp())


@pytest.fixture
def wire_go(wire_go_program: Path, request: pytest.FixtureRequest) -> Callable[..., ProcessCodec]:
    """Make codecs that ask the program, with its arguments; they are closed after the test."""

    def make(*arguments: str, **options: object) -> ProcessCodec:
        codec = ProcessCodec([str(wire_go_program), *arguments], **options)  # type: ignore[arg-type]  # as the test says
        request.addfinalizer(codec.close)
        return codec

    return make
