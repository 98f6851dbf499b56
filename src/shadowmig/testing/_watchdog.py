"""
The parent of one server: it outlives the process that wanted the server, and stops it when that process is gone.

Run as a program, by the standard library alone. The first line of standard input is the plan, as JSON; after it
nothing comes but the end of input, which the operating system sees to however the owner dies, SIGKILL included. Then
the server is signalled, waited for, and its folder removed. All the same happens when the server ends by itself, and
the end of its log is printed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

GRACE = 10.0
"""Seconds that a signalled server has until it is killed."""

TAIL = 2000
"""Bytes of the log that are printed at the end."""


def main() -> None:
    """Carry out the plan: make the folder and its files, run each command to its end, clean up."""
    plan = json.loads(os.fdopen(0, "rb", buffering=0, closefd=False).readline())
    folder = Path(plan["folder"])
    try:
        account = _account(plan["user"])
        folder.mkdir(mode=0o700)
        for name, text in plan["files"].items():
            (folder / name).write_text(text, encoding="utf-8")
            _give(folder / name, account)
        _give(folder, account)
        _run_all(plan["commands"], plan["signal"], folder, account)
        # Binary, because a log can hold anything; suppressed, because the owner may be gone.
        with contextlib.suppress(BrokenPipeError):
            os.write(1, (folder / "log").read_bytes()[-TAIL:])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _account(user: str) -> dict[str, Any]:
    """Make the options of `subprocess.Popen` that drop privileges; none for the empty name."""
    if not user:
        return {}
    import pwd

    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _give(path: Path, account: dict[str, Any]) -> None:
    if account:
        shutil.chown(path, account["user"], account["group"])


def _run_all(commands: list[list[str]], stop_signal: int, folder: Path, account: dict[str, Any]) -> None:
    """Run one command after the other until one fails or the owner is gone; the last one is the server."""
    gone = threading.Event()
    threading.Thread(target=_wait_for_owner, args=(gone,), daemon=True).start()
    # Settings of a database client in the owner's environment must not steer the server's tools.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
    with (folder / "log").open("wb") as log:
        for command in commands:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env=environment, **account
            )
            (folder / "pid.new").write_text(str(process.pid), encoding="ascii")
            (folder / "pid.new").rename(folder / "pid")
            if _watch(process, gone, stop_signal) != 0:
                break


def _wait_for_owner(gone: threading.Event) -> None:
    # os.read, because a buffered reader that blocks in a daemon thread can abort the interpreter's shutdown
    while os.read(0, 1024):
        pass
    gone.set()


def _watch(process: subprocess.Popen[bytes], gone: threading.Event, stop_signal: int) -> int:
    """Wait until the process ends, and end it when the owner is gone; return its exit code."""

    def stop() -> None:
        gone.wait()
        process.send_signal(stop_signal)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()

    threading.Thread(target=stop, daemon=True).start()
    return process.wait() or int(gone.is_set())


if __name__ == "__main__":
    main()
