"""
Real servers for a test run: started on a free loopback port, in a temporary folder, and always stopped.

    with Redis() as server:
        client = redis.Redis.from_url(server.url)

A server starts in well under a second (Postgres in about two), keeps nothing, answers on 127.0.0.1 only, and never
runs as root. It is stopped when the ``with`` block ends, when the process exits, and also when the process is killed:
a small watchdog process holds one end of a pipe to ours and acts on its end.

Where a server of your own should serve, name it in the environment: ``SHADOWMIG_TEST_POSTGRES`` and
``SHADOWMIG_TEST_REDIS`` hold a URL, ``SHADOWMIG_TEST_MEMCACHED`` holds ``host:port``. Then nothing is started.

Danger: these settings trade durability for speed. They are for tests, not for data.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self
from urllib.parse import urlsplit

from attrs import frozen

from shadowmig.errors import ConfigError, ServerUnavailable

HOST = "127.0.0.1"
"""The only address the servers listen on."""

ATTEMPTS = 5
"""How often a start is tried when another process takes the port first."""

PATIENCE = 30.0
"""Seconds a watchdog has to stop its server, until both are killed."""


@frozen
class _Kind:
    """How one kind of server is found, and as whom it runs when we are root."""

    programs: tuple[str, ...]
    package: str
    user: str


_KINDS: Mapping[str, _Kind] = {
    "postgres": _Kind(("postgres", "initdb"), "postgresql", "postgres"),
    "redis": _Kind(("redis-server",), "redis-server", "redis"),
    "memcached": _Kind(("memcached",), "memcached", "memcache"),
}


def find(name: str) -> Path:
    """
    Find the program of a server, on ``PATH`` or where Debian puts it.

    Args:
        name: ``"postgres"``, ``"redis"`` or ``"memcached"``.

    Returns:
        The path of the server program. For Postgres, ``initdb`` is in the same folder; of several versions that
        are not on ``PATH``, the newest.

    Raises:
        ServerUnavailable: It is not installed.
        ConfigError: No such server is known.
    """
    kind = _KINDS.get(name)
    if kind is None:
        allowed = ", ".join(_KINDS)
        raise ConfigError(f"No server is called {name!r}.", remedy=f"Use one of: {allowed}.", field="name", value=name)
    for folder in _folders():
        if all(os.access(folder / program, os.X_OK) for program in kind.programs):
            return folder / kind.programs[0]
    raise ServerUnavailable(
        f"The program {kind.programs[0]} was not found on PATH or in Debian's places.",
        remedy=f"Install the Debian package {kind.package}, or name a server of yours in {_variable(name)}.",
        server=name,
    )


def _folders() -> list[Path]:
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdecimal()]
    versions.sort(key=lambda path: -int(path.parent.name))
    on_path = [Path(entry) for entry in os.environ.get("PATH", os.defpath).split(os.pathsep) if entry]
    return [*on_path, Path("/usr/bin"), Path("/usr/sbin"), *versions]


def _variable(name: str) -> str:
    return f"SHADOWMIG_TEST_{name.upper()}"


class Server:
    """
    What all servers share: each is a context manager, and can be entered again after it was left.

    Args:
        settings: The server's own settings, added to ours and stronger than them.
        timeout: Seconds until a server that does not answer is given up.

    Attributes:
        url: Where it answers; empty until it is started.
        host: Its host name.
        port: Its TCP port.
        folder: Where its files and its ``log`` are; ``None`` unless this object started it.
    """

    name: ClassVar[str]
    _schemes: ClassVar[tuple[str, ...]] = ()
    _default_port: ClassVar[int]
    _signal: ClassVar[signal.Signals] = signal.SIGKILL  # nothing is kept, so there is nothing to tidy up

    def __init__(self, *, settings: Mapping[str, str] | None = None, timeout: float = 30.0) -> None:
        self.settings = dict(settings or {})
        self.timeout = timeout
        self.url = ""
        self.host = ""
        self.port = 0
        self.folder: Path | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """
        Start the server and wait until it answers, or take the one that the environment names.

        Raises:
            ServerUnavailable: It is not installed, or did not start; the message ends with its log.
            ConfigError: The environment names a server in a form that is not understood.
        """
        if self.url:
            raise ServerUnavailable(f"This {self.name} server is running already.", server=self.name)
        given = os.environ.get(_variable(self.name), "")
        if given:
            self.host, self.port = self._parse(given)
            self.url = given
            return self
        program = find(self.name)
        _follow_forks()
        for _ in range(ATTEMPTS):
            log = self._launch(program)
            if log is None:
                return self
            if "ddress already in use" not in log:
                break
        raise ServerUnavailable(
            f"The {self.name} server at {program} did not start. Its log ends with:\n{log}",
            remedy=f"If that does not help, name a server of yours in {_variable(self.name)}.",
            server=self.name,
        )

    def stop(self) -> None:
        """Stop the server and remove its folder; does nothing when it is stopped already, or is not ours."""
        atexit.unregister(self.stop)
        watchdog, self._watchdog = self._watchdog, None
        folder, self.folder = self.folder, None
        self.url, self.host, self.port = "", "", 0
        if watchdog is not None and folder is not None:
            _end(watchdog, folder)

    def _launch(self, program: Path) -> str | None:
        """Try to start it once; return ``None``, or the end of the log if it failed."""
        port = _free_port()
        folder = Path(tempfile.gettempdir(), f"shadowmig-{self.name}-{secrets.token_hex(6)}")
        plan = {"folder": str(folder), "user": _account(self.name), "signal": int(self._signal)}
        self.folder = folder
        self._watchdog = watchdog = subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__).with_name("_watchdog.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,  # so that Ctrl-C and a killed process group leave it time to clean up
        )
        _running.add(self)
        atexit.register(self.stop)
        try:
            _send(watchdog, plan | self._plan(program, folder, port))
            log = self._wait(watchdog, folder, port)
        except BaseException:
            self.stop()
            raise
        if log is not None:
            self.stop()
            return log
        self.host, self.port, self.url = HOST, port, self._url(port)
        return None

    def _wait(self, watchdog: subprocess.Popen[bytes], folder: Path, port: int) -> str | None:
        end = time.monotonic() + self.timeout
        while time.monotonic() < end:
            if watchdog.poll() is not None:
                assert watchdog.stdout is not None
                return watchdog.stdout.read().decode(errors="replace").strip() or "(it is empty)"
            # The process id tells our server from one that another process started on the same port.
            if self._answers(folder, port, _read(folder / "pid").strip()):
                return None
            time.sleep(0.01)
        log = _read(folder / "log")[-2000:]
        return f"{log}\n(no answer within {self.timeout:g} seconds)"

    def _plan(self, program: Path, folder: Path, port: int) -> dict[str, object]:
        """Return ``commands``, of which the last is the server, and ``files`` to be put into its folder."""
        raise NotImplementedError

    def _answers(self, folder: Path, port: int, pid: str) -> bool:
        """Whether the server with this process id answers, asked without a driver."""
        raise NotImplementedError

    def _url(self, port: int) -> str:
        raise NotImplementedError

    def _parse(self, given: str) -> tuple[str, int]:
        """Take host and port from what the environment says."""
        with contextlib.suppress(ValueError):  # a port that is no number
            parts = urlsplit(given if self._schemes else f"//{given}")
            if parts.hostname and parts.scheme in (self._schemes or ("",)):
                return parts.hostname, parts.port or self._default_port
        variable, form = _variable(self.name), f"{self._schemes[0]}://host:port" if self._schemes else "host:port"
        raise ConfigError(f"{variable} is not understood.", remedy=f"Use {form}.", field=variable, value=given)


class Postgres(Server):
    """
    A Postgres server with one superuser, ``shadowmig``, whose password is part of `url`.

    ``settings`` are parameters of ``postgresql.conf``, such as ``{"wal_level": "logical"}``. `url` leads to the
    database ``postgres``; create your own from there. Encoding UTF8, locale C.
    """

    name = "postgres"
    _schemes = ("postgresql", "postgres")
    _default_port = 5432
    _signal = signal.SIGQUIT  # stop at once too, but give shared memory back

    def __init__(self, *, settings: Mapping[str, str] | None = None, timeout: float = 30.0) -> None:
        super().__init__(settings=settings, timeout=timeout)
        self._password = secrets.token_hex(8)

    def _plan(self, program: Path, folder: Path, port: int) -> dict[str, object]:
        settings = {
            "listen_addresses": HOST,
            "port": str(port),
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        } | self.settings
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        data, password = f"{folder}/data", f"{folder}/password"
        init = [str(program.with_name("initdb")), "-D", data, "-U", "shadowmig", "-E", "UTF8", "--locale=C", "-N"]
        return {
            "commands": [[*init, "--auth=password", f"--pwfile={password}"], [str(program), "-D", data, *flags]],
            "files": {"password": self._password},
        }

    def _answers(self, folder: Path, port: int, pid: str) -> bool:
        # Postgres itself writes its process id, and in the eighth line "ready", when it accepts connections.
        lines = _read(folder / "data" / "postmaster.pid").split("\n")
        return len(lines) > 7 and lines[0] == pid and lines[7].strip() == "ready"

    def _url(self, port: int) -> str:
        return f"postgresql://shadowmig:{self._password}@{HOST}:{port}/postgres"


class Redis(Server):
    """
    A Redis server with 16 databases and no password; `url` leads to database 0.

    ``settings`` are directives of ``redis.conf``, such as ``{"maxmemory": "8mb"}``.
    """

    name = "redis"
    _schemes = ("redis", "rediss")
    _default_port = 6379

    def _plan(self, program: Path, folder: Path, port: int) -> dict[str, object]:
        settings = {"bind": HOST, "port": str(port), "dir": str(folder), "save": '""', "appendonly": "no"}
        lines = [f"{name} {value}\n" for name, value in (settings | self.settings).items()]
        return {"commands": [[str(program), f"{folder}/redis.conf"]], "files": {"redis.conf": "".join(lines)}}

    def _answers(self, folder: Path, port: int, pid: str) -> bool:
        return _asks(port, b"INFO server\r\nQUIT\r\n", f"process_id:{pid}\r\n")

    def _url(self, port: int) -> str:
        return f"redis://{HOST}:{port}/0"


class Memcached(Server):
    """
    A Memcached server with 64 MiB; `url` is ``host:port``, as its clients take it.

    ``settings`` are its flags, such as ``{"-I": "2m"}``.
    """

    name = "memcached"
    _default_port = 11211

    def _plan(self, program: Path, folder: Path, port: int) -> dict[str, object]:
        settings = {"-l": HOST, "-p": str(port), "-U": "0"} | self.settings
        return {"commands": [[str(program), *(part for pair in settings.items() for part in pair)]], "files": {}}

    def _answers(self, folder: Path, port: int, pid: str) -> bool:
        return _asks(port, b"stats\r\nquit\r\n", f"STAT pid {pid}\r\n")

    def _url(self, port: int) -> str:
        return f"{HOST}:{port}"


_running: weakref.WeakSet[Server] = weakref.WeakSet()
"""Servers this process started; a forked child must let go of them."""


@functools.cache
def _follow_forks() -> None:
    os.register_at_fork(after_in_child=_disown)


def _disown() -> None:
    """Close the child's copies of the pipes, so that the death of the process that started a server is still seen."""
    for server in list(_running):
        watchdog, server._watchdog = server._watchdog, None
        if watchdog is not None:
            watchdog.returncode = 0  # it is not the child's process to wait for
            for pipe in (watchdog.stdin, watchdog.stdout):
                assert pipe is not None
                pipe.close()


def _send(watchdog: subprocess.Popen[bytes], plan: Mapping[str, object]) -> None:
    assert watchdog.stdin is not None
    # A watchdog that died before it read this has printed why.
    with contextlib.suppress(BrokenPipeError):
        watchdog.stdin.write(json.dumps(plan).encode() + b"\n")


def _end(watchdog: subprocess.Popen[bytes], folder: Path) -> None:
    assert watchdog.stdin is not None
    assert watchdog.stdout is not None
    watchdog.stdin.close()
    try:
        watchdog.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(watchdog.pid, signal.SIGKILL)  # it leads its session, so the server goes with it
        watchdog.wait()
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        watchdog.stdout.close()


def _account(name: str) -> str:
    """Return the account a server is to run as: ours (the empty string), unless we are root."""
    if os.geteuid() != 0:
        return ""
    import pwd

    known = {entry.pw_name for entry in pwd.getpwall()}
    for user in (_KINDS[name].user, "nobody"):
        if user in known:
            return user
    raise ServerUnavailable(
        f"There is no account that {name} could run as.",
        remedy=f"As root, add the account {_KINDS[name].user}; or run as somebody else.",
        server=name,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _asks(port: int, question: bytes, expected: str) -> bool:
    """Send a question over TCP and say whether the answer, up to the end of the connection, has the expected text."""
    try:
        with socket.create_connection((HOST, port), timeout=1.0) as connection, connection.makefile("rb") as answer:
            connection.sendall(question)
            return expected.encode() in answer.read(64 * 1024)
    except OSError:
        return False
