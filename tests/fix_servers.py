"""
Real servers for tests, started once in a session and isolated for each test.

A test takes `postgres_url`, `redis_url` or `memcached_prefix`. Without the server it is skipped, and with CI set it
fails, so that no rule goes unchecked in silence.
"""

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import urlsplit

import psycopg
import pytest
import redis as redis_driver
from psycopg import sql

from shadowmig.errors import ServerUnavailable
from shadowmig.testing.servers import Memcached, Postgres, Redis, Server, find

AnyServer = TypeVar("AnyServer", bound=Server)


def pytest_report_header() -> str:
    return "servers: " + ", ".join(f"{name} {_version(name)}" for name in ("postgres", "redis", "memcached"))


def _version(name: str) -> str:
    if f"SHADOWMIG_TEST_{name.upper()}" in os.environ:
        return "from the environment"
    try:
        program = find(name)
    except ServerUnavailable:
        return "missing"
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    numbers = [word for word in answer.replace("v=", "").split() if word[0].isdecimal()]
    return numbers[0] if numbers else "of unknown version"


@contextmanager
def _started(server: AnyServer) -> Iterator[AnyServer]:
    """Run the server; without it, skip the test that wants it, or in CI fail."""
    try:
        server.start()
    except ServerUnavailable as error:
        if os.environ.get("CI"):
            pytest.fail(f"CI needs {server.name}: {error}", pytrace=False)
        pytest.skip(f"needs {server.name}: {error}")
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running Postgres, shared by all tests; take `postgres_url` unless a test is about the server itself."""
    with _started(Postgres()) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty database of this test's own, dropped afterwards."""
    with _database(postgres.url, f"test_{uuid.uuid4().hex[:12]}") as url:
        yield url


@pytest.fixture
def sister_url(postgres_url: str) -> Iterator[str]:
    """The URL of a second empty database beside `postgres_url`, dropped afterwards."""
    with _database(postgres_url, f"{urlsplit(postgres_url).path[1:]}_sister") as url:
        yield url


@contextmanager
def _database(server: str, name: str) -> Iterator[str]:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlsplit(server)._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    """A running Redis, shared by all tests; take `redis_url` unless a test is about the server itself."""
    with _started(Redis()) as server:
        yield server


@pytest.fixture
def redis_url(redis: Redis) -> Iterator[str]:
    """The URL of an empty Redis database, emptied afterwards; it refuses one that somebody else filled."""
    url = urlsplit(redis.url)._replace(path="/15").geturl()
    with redis_driver.Redis.from_url(url) as client:
        assert client.dbsize() == 0, f"database 15 of {redis.host}:{redis.port} is in use: the tests would empty it"
        try:
            yield url
        finally:
            client.flushdb()


@pytest.fixture(scope="session")
def memcached() -> Iterator[Memcached]:
    """A running Memcached, shared by all tests."""
    with _started(Memcached()) as server:
        yield server


@pytest.fixture
def memcached_prefix(memcached: Memcached) -> str:
    """A prefix of this test's own for the keys of the shared Memcached, which has no databases."""
    return f"{uuid.uuid4().hex[:12]}:"
