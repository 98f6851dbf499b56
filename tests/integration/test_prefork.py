"""A real pre-fork server: its workers sample each for itself and write one findings file."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from shadowmig.findings import merge
from shadowmig.model import Verdict
from shadowmig.sinks.jsonl import read

APP = """
import os
from shadowmig import Migration
from shadowmig.sinks import JsonLines

migration = Migration("comments", sinks=[JsonLines({path!r})], publish_every=0.1, label="go-1")

@migration.read(candidate=lambda n: {{"id": n, "body": "b" if n % 3 else "B"}})
def get(n):
    return {{"id": n, "body": "b"}}

get(0)  # sampled before the fork: threads exist in the parent, and must be born again in each worker

def app(environ, start_response):
    body = repr((os.getpid(), get(int(environ["PATH_INFO"][1:])))).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""
WORKERS = 3
CALLS = 90


@pytest.fixture
def port() -> int:
    """A free loopback port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number: int = listener.getsockname()[1]
    return number


def get(url: str) -> tuple[int, dict[str, object]]:
    """Fetch and give the worker's process id and its answer."""
    with urllib.request.urlopen(url, timeout=10) as response:
        return eval(response.read().decode())  # type: ignore[no-any-return]  # a repr our own app made


def wait_for(url: str) -> None:
    """Wait until the server answers."""
    for _ in range(200):
        try:
            get(url)
        except urllib.error.URLError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the server did not start")


@pytest.mark.parametrize("worker_class", ["sync", "gevent"])
def test_gunicorn_workers_write_one_file(tmp_path: Path, port: int, worker_class: str) -> None:
    """Every worker's calls are compared once, and the report adds them up from one file."""
    findings = tmp_path / "findings.jsonl"
    (tmp_path / "service.py").write_text(APP.format(path=str(findings)), encoding="utf-8")
    command = [sys.executable, "-m", "gunicorn", "--preload", "-w", str(WORKERS), "-k", worker_class]
    server = subprocess.Popen(
        [*command, "-b", f"127.0.0.1:{port}", "--log-level", "error", "service:app"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/1")
        answers = [get(f"http://127.0.0.1:{port}/{n}") for n in range(CALLS)]
        assert [answer["id"] for _, answer in answers] == list(range(CALLS))
        time.sleep(0.5)
    finally:
        server.terminate()
        _, errors = server.communicate(timeout=30)
    assert "shadowmig" not in errors
    batches = read(findings).batches
    found, (summary,) = merge(batches)
    assert len({batch.source for batch in batches}) >= 2
    assert summary.calls == CALLS + 2  # the one before the fork and the one that waited for the server
    assert summary.verdicts[Verdict.MISMATCH] == CALLS / 3 + 1
    assert summary.verdicts[Verdict.MATCH] == summary.calls - summary.verdicts[Verdict.MISMATCH]
    assert [(finding.path, finding.count) for finding in found] == [("$.body", CALLS / 3 + 1)]
    report = subprocess.run(
        [sys.executable, "-m", "shadowmig", "report", str(findings)], capture_output=True, text=True, check=False
    )
    assert report.returncode == 1
    assert "$.body" in report.stdout
