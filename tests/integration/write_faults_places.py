"""Where worlds are made: production and sisters, emptied for each, and proxies before them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import redis as redis_driver
from psycopg import sql
from pymemcache.client.base import PooledClient
from write_faults_servers import Proxy, port_of, run, through
from write_faults_service import Names, Site
from write_faults_support import STORES, World


class Faulty(World):
    """
    A world with a proxy before each store.

    Attributes:
        servers: The sisters' own addresses.
        sister: The proxies before the sisters, by store.
        reads: The proxies between the verifier and production, by store.
    """

    servers: Mapping[str, str]
    sister: Mapping[str, Proxy]
    reads: Mapping[str, Proxy]


def _empty(production: str, sisters: Mapping[str, str]) -> None:
    for url in (production, sisters["db"]):
        name = sql.Identifier(url.rpartition("/")[2])
        again = sql.SQL("DROP SCHEMA public CASCADE; CREATE SCHEMA public; ALTER DATABASE {} RESET ALL")
        run(url, again.format(name))
    with closing(PooledClient(sisters["cache"])) as client:
        client.flush_all(noreply=False)
    with redis_driver.Redis.from_url(sisters["events"]) as client:
        client.flushall()


class Places:
    """
    Where worlds are made.

    Args:
        production: Addresses by store.
        sisters: The same of the sisters. They are emptied for each world, as is production's database.
        prefix: Of keys in production's cache.
    """

    def __init__(self, production: Mapping[str, str], sisters: Mapping[str, str], prefix: str) -> None:
        self._production = production
        self._sisters = sisters
        self._prefix = prefix

    @contextmanager
    def world(
        self,
        *,
        production: Mapping[str, str] | None = None,
        verifier: Mapping[str, str] | None = None,
        sister: Mapping[str, str] | None = None,
        names: Names | None = None,
        timeout: float = 1.0,
        patience: float = 1.0,
        careful: bool = True,
        **options: Any,
    ) -> Iterator[Faulty]:
        """
        Make a world whose sisters, and the verifier's connections to production, are behind proxies.

        Args:
            production: Addresses by store, where they are others than usual.
            verifier: Addresses by store by which the verifier reads production, where they are others.
            sister: Addresses by store, where they are others than usual.
            names: What things are called.
            timeout: Seconds for a call to a sister.
            patience: Seconds for a call to production by the verifier.
            careful: Whether the candidate's client of the cache tries again where a connection was closed meanwhile.
            options: Of the experiments.
        """
        names = names or Names()
        production = {**self._production, **(production or {})}
        read, given = {**production, **(verifier or {})}, {**self._sisters, **(sister or {})}
        _empty(production["db"], given)
        with ExitStack() as stack:
            sisters, reads = (
                {store: stack.enter_context(Proxy(port_of(addresses[store]))) for store in STORES}
                for addresses in (given, read)
            )
            for url in (production["db"], given["db"]):
                run(url, names.schema)
            site = Site(
                production,
                {store: through(read[store], reads[store].port) for store in STORES},
                {store: through(given[store], sisters[store].port) for store in STORES},
                self._prefix,
                names,
                timeout,
                patience,
                careful,
            )
            world = Faulty(site, options)
            world.servers, world.sister, world.reads = given, sisters, reads
            stack.callback(world.close)
            yield world
