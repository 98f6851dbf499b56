"""Check a built wheel: it has every file of the package, and imports where the source is not."""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

SRC = Path(__file__).resolve().parent.parent / "src"

LEFT_OUT = {"__pycache__", ".mypy_cache", ".ruff_cache"}


def main(wheel: str) -> None:
    """Compare the wheel with the source tree, unpack it elsewhere and import it from there."""
    expected = {
        str(path.relative_to(SRC))
        for path in (SRC / "shadowmig").rglob("*")
        if path.is_file() and not LEFT_OUT.intersection(path.parts)
    }
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        missing = expected - set(archive.namelist())
        if missing or "shadowmig/py.typed" not in expected:
            sys.exit(f"the wheel lacks: {sorted(missing)}")
        archive.extractall(folder)
        program = "import shadowmig, shadowmig.errors; print(shadowmig.__file__)"
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": folder},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        if not done.stdout.startswith(folder):
            sys.exit(f"imported another one: {done.stdout}")
    print(f"{Path(wheel).name}: {len(expected)} files, and it imports")


if __name__ == "__main__":
    main(*sys.argv[1:])
