"""The store contract on Memcached: bytes, a codec, several servers, and a cut network."""

from __future__ import annotations

import uuid

import pytest
from contract_cases import Cut, Json, comment, key_refs, version_of

from fix_servers import _started
from shadowmig.stores import MemcachedStore
from shadowmig.testing import StoreContract
from shadowmig.testing.servers import Memcached


@pytest.fixture(scope="module")
def own_servers():
    """Three servers of these tests' own, because the contract empties them, so never what the environment names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SHADOWMIG_TEST_MEMCACHED", raising=False)
        with _started(Memcached()) as first, _started(Memcached()) as second, _started(Memcached()) as third:
            yield first, second, third


@pytest.mark.usefixtures("slow_examples")
class OnMemcached(StoreContract):
    """What all runs on Memcached share."""

    timeout = 5.0  # the machine may be busy

    def options(self):
        """Say what the stores are built with."""
        return {}

    @pytest.fixture(autouse=True)
    def places(self, own_servers):
        """Two places, a way to the first that can be cut, and keys of this test's own."""
        first, second, third = own_servers
        self.prefix = f"{uuid.uuid4().hex[:8]}:"
        self.there = second.url
        with Cut(first.host, first.port) as self.way, Cut(third.host, third.port) as self.other_way:
            self.here, self.third = f"127.0.0.1:{self.way.port}", f"127.0.0.1:{self.other_way.port}"
            yield

    def make_store(self):
        return MemcachedStore(self.here, timeout=self.timeout, **self.options())

    def make_other(self):
        return MemcachedStore(self.there, timeout=self.timeout, **self.options())

    def make_refs(self, count):
        return key_refs(count, self.prefix)

    def make_value(self, ref, number):
        return f"text {number}".encode()

    def fail(self):
        self.way.cut()

    def recover(self):
        self.way.mend()


class TestMemcachedBytes(OnMemcached):
    """Bytes."""


class TestMemcachedCodec(OnMemcached):
    """Values of a codec."""

    def options(self):
        return {"codec": Json(), "version": version_of}

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


class TestMemcachedServers(OnMemcached):
    """Keys that are spread over two servers."""

    def make_store(self):
        return MemcachedStore([self.here, self.third], timeout=self.timeout)

    def fail(self):
        self.way.cut()
        self.other_way.cut()  # keys of one server can still be read while the other is down

    def recover(self):
        self.way.mend()
        self.other_way.mend()


class TestMemcachedOld(OnMemcached):
    """A server without meta commands."""

    def options(self):
        return {"meta_commands": False}
