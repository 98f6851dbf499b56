"""The store contract on Redis: keys as bytes and by a codec, hashes, events by their own ids, and a cut network."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
import redis as driver
from contract_cases import Cut, Json, comment, key_refs, version_of

from shadowmig.model import Ref
from shadowmig.stores import RedisStore, Stream
from shadowmig.testing import StoreContract


@pytest.mark.usefixtures("slow_examples")
class OnRedis(StoreContract):
    """What all runs on Redis share."""

    timeout = 5.0  # the machine may be busy

    def options(self):
        """Say what the stores are built with."""
        return {}

    @pytest.fixture(autouse=True)
    def places(self, redis_url):
        """Two databases, and a way to the first that can be cut."""
        parts = urlsplit(redis_url)
        self.there = parts._replace(path="/14").geturl()
        with driver.Redis.from_url(self.there) as client, Cut(parts.hostname, parts.port) as self.way:
            assert client.dbsize() == 0, "database 14 is in use: the tests would empty it"
            self.here = parts._replace(netloc=f"127.0.0.1:{self.way.port}").geturl()
            try:
                yield
            finally:
                client.flushdb()

    def make_store(self):
        return RedisStore(self.here, timeout=self.timeout, **self.options())

    def make_other(self):
        return RedisStore(self.there, timeout=self.timeout, **self.options())

    def fail(self):
        self.way.cut()

    def recover(self):
        self.way.mend()


class TestRedisBytes(OnRedis):
    """Strings without a codec."""

    def make_refs(self, count):
        return key_refs(count)

    def make_value(self, ref, number):
        return f"text {number}".encode()


class TestRedisCodec(OnRedis):
    """Strings of a codec."""

    def options(self):
        return {"codec": Json(), "version": version_of}

    def make_refs(self, count):
        return key_refs(count)

    def make_value(self, ref, number):
        return comment(number)

    def version_of(self, value):
        return version_of(value)

    def fail(self):
        self.way.cut(silent=True)

    def test_outage(self):
        """A server that says nothing is one that cannot be reached, when the time is over."""
        self.timeout = 0.5
        super().test_outage()


class TestRedisHashes(OnRedis):
    """Hashes without a codec."""

    def make_refs(self, count):
        return key_refs(count)

    def make_value(self, ref, number):
        return {b"body": f"text {number}".encode(), b"version": b"%d" % number}


class TestRedisEvents(OnRedis):
    """Events that are known by a field, with values of a codec."""

    def options(self):
        return {"streams": [Stream("events", id="event", version=version_of, payload="data", codec=Json())]}

    def make_refs(self, count):
        return [Ref("", "entry", "events", (f"e{number}",)) for number in range(count)]

    def make_value(self, ref, number):
        return comment(number)

    def version_of(self, value):
        return version_of(value)


class TestRedisFields(OnRedis):
    """Events that are known by a field, as fields of bytes."""

    def options(self):
        return {"streams": [Stream("events", id="event")]}

    def make_refs(self, count):
        return [Ref("", "entry", "events", (f"e{number}",)) for number in range(count)]

    def make_value(self, ref, number):
        event = ref.key[0].encode("utf-8", "surrogatepass")
        return {b"event": event, b"body": f"text {number}".encode()}
