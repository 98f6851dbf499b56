"""The ephemeral servers: they start, answer their real drivers, and always stop."""

import contextlib
import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pymemcache
import pytest
import redis as redis_driver

from shadowmig.errors import ConfigError, ServerUnavailable
from shadowmig.testing import servers
from shadowmig.testing.servers import Memcached, Postgres, Redis, Server, find

KINDS = (Postgres, Redis, Memcached)

START_ALL = """
import json, sys, time
from shadowmig.testing.servers import Memcached, Postgres, Redis

running = [kind().start() for kind in (Postgres, Redis, Memcached)]
print(json.dumps([[server.port, str(server.folder)] for server in running]), flush=True)
"""


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request, monkeypatch) -> type[Server]:
    """Each kind of server; where it is not installed, the fixture of its name skips or fails."""
    request.getfixturevalue(request.param.name)
    monkeypatch.delenv(f"SHADOWMIG_TEST_{request.param.name.upper()}", raising=False)
    return request.param


@pytest.fixture
def ours(postgres, redis, memcached, monkeypatch) -> None:
    """All three programs are there, and the environment names no other servers."""
    for kind in KINDS:
        monkeypatch.delenv(f"SHADOWMIG_TEST_{kind.name.upper()}", raising=False)


def ask(server: Server) -> bool:
    """Have the real driver ask the server something."""
    if isinstance(server, Postgres):
        with psycopg.connect(server.url) as connection:
            return connection.execute("SELECT 6 * 7").fetchone() == (42,)
    if isinstance(server, Redis):
        with redis_driver.Redis.from_url(server.url) as client:
            return bool(client.ping())
    with contextlib.closing(pymemcache.Client(server.url)) as client:
        return bool(client.set("key", b"value")) and client.get("key") == b"value"


def listens(port: int) -> bool:
    """Say whether anything accepts connections on the port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def owner_of(server: Server) -> int:
    """Look up as whom the server's process runs."""
    return Path("/proc", (server.folder / "pid").read_text()).stat().st_uid


def assert_all_gone(started: str) -> None:
    """Wait until no server of the list that START_ALL printed listens, and its folder is removed."""
    end = time.monotonic() + 30
    rest = json.loads(started)
    assert len(rest) == len(KINDS)
    while rest and time.monotonic() < end:
        rest = [[port, folder] for port, folder in rest if listens(port) or Path(folder).exists()]
        time.sleep(0.02)
    assert rest == []


def test_answers_its_driver(kind):
    """A started server answers through the driver that services use, on the host and port it names."""
    with kind() as server:
        assert ask(server)
        assert server.host == "127.0.0.1"
        assert f":{server.port}" in server.url
        assert (server.folder / "log").is_file()


def test_fixtures_are_empty(postgres_url, redis_url, memcached_prefix, memcached):
    """The fixtures give each test a database, a Redis database and a prefix with nothing in them."""
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 2200").fetchone() == (0,)
        connection.execute("CREATE TABLE left_over (id int)")
    with redis_driver.Redis.from_url(redis_url) as client:
        assert client.keys() == []
        client.set("left over", 1)
    with contextlib.closing(pymemcache.Client(memcached.url)) as client:
        assert client.add(f"{memcached_prefix}left_over", 1)


test_fixtures_are_empty_again = test_fixtures_are_empty


def test_never_as_root(kind):
    """Whoever starts it, the server's process is not root's."""
    with kind() as server:
        assert owner_of(server) != 0


def test_ordinary_user_runs_it_himself(ours, monkeypatch):
    """Somebody who is not root runs the server under his own account."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with Redis() as server:
        assert owner_of(server) == os.getuid()


def test_no_account_to_run_as(monkeypatch):
    """As root, on a machine without a lesser account, the error says which one to add."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwall", list)
    with pytest.raises(ServerUnavailable, match="account memcache"):
        servers._account("memcached")


def test_only_loopback(kind):
    """The server listens on 127.0.0.1 and on no other address of this machine."""
    with kind() as server:
        listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        ours = [entry[1] for entry in listening if entry[3] == "0A" and int(entry[1].split(":")[1], 16) == server.port]
        assert ours == [f"0100007F:{server.port:04X}"]


def test_stopped_on_exit(kind):
    """After the block nothing listens, the folder is gone, and the object can be started again."""
    with kind() as server:
        port, folder = server.port, server.folder
    assert not listens(port)
    assert not folder.exists()
    assert (server.url, server.host, server.port, server.folder) == ("", "", 0, None)
    with server:
        assert ask(server)
    server.stop()


def test_stopped_after_exception(kind):
    """An exception in the block passes through and leaves no server behind."""
    server = kind()

    def body() -> None:
        with server:
            seen.append((server.port, server.folder))
            raise LookupError

    seen: list[tuple[int, Path]] = []
    with pytest.raises(LookupError):
        body()
    [(port, folder)] = seen
    assert not listens(port)
    assert not folder.exists()


def test_stopped_when_the_process_exits(ours):
    """A process that ends without stopping its servers leaves none behind."""
    done = subprocess.run([sys.executable, "-c", START_ALL], stdout=subprocess.PIPE, text=True, check=True)
    assert_all_gone(done.stdout)


def test_stopped_when_the_process_is_killed(ours):
    """SIGKILL of the owner, which nothing can catch, stops its servers all the same."""
    program = START_ALL + "time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as owner:
        started = owner.stdout.readline()
        owner.send_signal(signal.SIGKILL)
    assert_all_gone(started)


def test_forked_children_hold_no_server(ours):
    """A forked child outliving a killed owner keeps no server alive, and a child that exits stops none."""
    program = START_ALL + (
        "import os\n"
        "if os.fork() == 0: sys.exit()\n"
        "os.wait()\n"
        "child = os.fork()\n"
        "if child: print(child, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as owner:
        started = owner.stdout.readline()
        child = int(owner.stdout.readline())
        try:
            assert all(listens(port) for port, _ in json.loads(started))
            owner.send_signal(signal.SIGKILL)
            assert_all_gone(started)
        finally:
            os.kill(child, signal.SIGKILL)


def test_stopped_when_the_watchdog_hangs(ours, monkeypatch):
    """A watchdog that does not react is killed together with its server, and the folder is removed."""
    monkeypatch.setattr(servers, "PATIENCE", 0.1)
    with Memcached() as server:
        port, folder = server.port, server.folder
        os.kill(server._watchdog.pid, signal.SIGSTOP)
    end = time.monotonic() + 10  # the killed server is nobody's child here, so its end cannot be waited for
    while listens(port) and time.monotonic() < end:
        time.sleep(0.01)
    assert not listens(port)
    assert not folder.exists()


def test_settings_reach_the_server(ours):
    """Settings given to the constructor are in force."""
    with Postgres(settings={"wal_level": "logical"}) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SHOW wal_level").fetchone() == ("logical",)
    with Redis(settings={"maxmemory": "8mb"}) as server, redis_driver.Redis.from_url(server.url) as client:
        assert client.config_get("maxmemory") == {"maxmemory": str(8 * 1024 * 1024)}
    with Memcached(settings={"-m": "8"}) as server, contextlib.closing(pymemcache.Client(server.url)) as client:
        assert client.stats()[b"limit_maxbytes"] == 8 * 1024 * 1024


@pytest.mark.parametrize(
    ("kind", "settings"),
    [(Postgres, {"fsync": "maybe"}), (Redis, {"port": "all"}), (Memcached, {"-t": "0"})],
    ids=lambda value: getattr(value, "name", ""),
)
def test_failed_start_says_why(ours, kind, settings):
    """A server that refuses to start gives the end of its log and the way out, and leaves nothing behind."""
    server = kind(settings=settings)
    with pytest.raises(ServerUnavailable, match=f"SHADOWMIG_TEST_{kind.name.upper()}") as caught:
        server.start()
    assert caught.value.server == kind.name
    assert any(word in str(caught.value) for word in ("fsync", "port", "threads"))
    assert (server.url, server.folder) == ("", None)


def test_no_answer_in_time(ours):
    """A server that does not answer within the timeout is given up and removed."""
    server = Redis(timeout=0.0)
    with pytest.raises(ServerUnavailable, match="no answer within 0 seconds"):
        server.start()
    assert server.folder is None


def test_interrupted_start(ours, monkeypatch):
    """An interrupt during the start leaves nothing behind."""

    def interrupt(*_: object) -> str:
        raise KeyboardInterrupt

    server = Redis()
    monkeypatch.setattr(server, "_answers", interrupt)
    with pytest.raises(KeyboardInterrupt):
        server.start()
    assert server.folder is None


def test_port_taken(kind, monkeypatch):
    """When another process takes the port first, the next port is tried."""
    free = servers._free_port
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        ports = iter([taken])
        monkeypatch.setattr(servers, "_free_port", lambda: next(ports, None) or free())
        with kind() as server:
            assert server.port != taken
            assert ask(server)


def test_started_twice(ours):
    """Starting a running server is refused, and it goes on running."""
    with Redis() as server:
        with pytest.raises(ServerUnavailable, match="running already"):
            server.start()
        assert ask(server)


@pytest.mark.parametrize(
    ("kind", "given", "host", "port"),
    [
        (Postgres, "postgresql://me@db.example:6543/comments", "db.example", 6543),
        (Postgres, "postgres://db.example/comments", "db.example", 5432),
        (Redis, "redis://cache.example:6380/3", "cache.example", 6380),
        (Memcached, "cache.example", "cache.example", 11211),
        (Memcached, "cache.example:11212", "cache.example", 11212),
    ],
)
def test_server_of_yours(kind, given, host, port, monkeypatch):
    """A server named in the environment is taken as it is, and nothing is started."""
    monkeypatch.setenv(f"SHADOWMIG_TEST_{kind.name.upper()}", given)
    with kind() as server:
        assert (server.url, server.host, server.port, server.folder) == (given, host, port, None)


@pytest.mark.parametrize(("kind", "given"), [(Postgres, "host=db"), (Redis, "db:6379"), (Memcached, "db:port")])
def test_server_of_yours_not_understood(kind, given, monkeypatch):
    """A server named in another form is refused with the name of the variable."""
    variable = f"SHADOWMIG_TEST_{kind.name.upper()}"
    monkeypatch.setenv(variable, given)
    with pytest.raises(ConfigError, match=variable) as caught:
        kind().start()
    assert (caught.value.field, caught.value.value) == (variable, given)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_missing_program(kind, monkeypatch, tmp_path):
    """A missing program is an error of its own that names the Debian package to install."""
    monkeypatch.delenv(f"SHADOWMIG_TEST_{kind.name.upper()}", raising=False)
    monkeypatch.setattr(servers, "_folders", lambda: [tmp_path])
    with pytest.raises(ServerUnavailable, match=r"Install the Debian package \w+") as caught, kind():
        pytest.fail("it cannot have started")
    assert caught.value.server == kind.name


def test_find_takes_path_first(tmp_path, monkeypatch):
    """A program on PATH goes before the ones in Debian's places."""
    program = tmp_path / "memcached"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find("memcached") == program


def test_find_unknown():
    """A server that is not known is refused with the names of those that are."""
    with pytest.raises(ConfigError, match="postgres, redis, memcached"):
        find("mysql")
