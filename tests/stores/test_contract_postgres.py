"""The store contract on Postgres: one key column, two of them, folded rows, and a network that is cut."""

from __future__ import annotations

import uuid
from urllib.parse import urlsplit

import psycopg
import pytest
from contract_cases import Cut, comment, version_of
from psycopg import sql

from shadowmig.model import Ref
from shadowmig.stores import PostgresStore, Table
from shadowmig.testing import StoreContract

SCHEMA = """
CREATE TABLE comments (id text PRIMARY KEY, body text, tags jsonb, none numeric, version int NOT NULL);
CREATE TABLE likes (thing bigint, account text, at timestamptz, version int, PRIMARY KEY (thing, account));
CREATE TABLE props (thing bigint, name text, value jsonb, PRIMARY KEY (thing, name));
"""


def fold(rows):
    """Make one value of the rows of a thing."""
    return {row["name"]: row["value"] for row in rows}


def unfold(value):
    """Make rows of it again."""
    return [{"name": name, "value": each} for name, each in value.items()]


@pytest.fixture(scope="module")
def databases(postgres):
    """Two databases of these tests' own, with tables."""
    names = [f"test_{uuid.uuid4().hex[:12]}" for _ in "ab"]
    urls = [urlsplit(postgres.url)._replace(path=f"/{name}").geturl() for name in names]
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        try:
            for name, url in zip(names, urls, strict=True):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
                with psycopg.connect(url, autocommit=True) as setup:
                    setup.execute(SCHEMA)
            yield urls
        finally:
            for name in names:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.mark.usefixtures("slow_examples")
class OnPostgres(StoreContract):
    """What all runs on Postgres share."""

    timeout = 5.0  # the machine may be busy

    tables = (Table("comments", key="id", version="version"),)

    @pytest.fixture(autouse=True)
    def places(self, databases):
        """Two empty databases, and a way to the first that can be cut."""
        here, self.there = databases
        for url in databases:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("TRUNCATE comments, likes, props")
        parts = urlsplit(here)
        self.password = parts.password
        with Cut(parts.hostname, parts.port) as self.way:
            self.here = parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{self.way.port}").geturl()
            yield

    def make_store(self):
        return PostgresStore(self.here, tables=self.tables, timeout=self.timeout)

    def make_other(self):
        return PostgresStore(self.there, tables=self.tables, timeout=self.timeout)

    def fail(self):
        self.way.cut()

    def recover(self):
        self.way.mend()


class TestPostgresRows(OnPostgres):
    """Rows with one key column."""

    def make_refs(self, count):
        return [Ref("", "row", "comments", (f"c{number}",)) for number in range(count)]

    def make_value(self, ref, number):
        return {"id": ref.key[0], **comment(number)}

    def version_of(self, value):
        return version_of(value)


class TestPostgresRowsOfTwoKeys(OnPostgres):
    """Rows with two key columns, of which some columns are read."""

    tables = (Table("likes", key=("thing", "account"), columns=("account", "thing", "version")),)

    def make_refs(self, count):
        return [Ref("", "row", "likes", (number % 7, f"a{number}")) for number in range(count)]

    def make_value(self, ref, number):
        return {"account": ref.key[1], "thing": ref.key[0], "version": number}


class TestPostgresFolded(OnPostgres):
    """Records of one row for each property, by a number."""

    tables = (Table("props", key="thing", fold=fold, unfold=unfold),)

    def make_refs(self, count):
        return [Ref("", "row", "props", (number,)) for number in range(count)]

    def make_value(self, ref, number):
        return {"body": f"text {number}", "tags": ["a", {"n": number}]}

    def fail(self):
        self.way.cut(silent=True)

    def test_outage(self):
        """A server that says nothing is one that cannot be reached, when the time is over."""
        self.timeout = 0.5
        super().test_outage()
