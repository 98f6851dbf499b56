"""Where a storm takes place: three stores with their sisters, in memory or on real servers, empty at the start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Final, Literal, Protocol, Self, get_args

from attrs import evolve, frozen

from shadowmig.errors import ConfigError
from shadowmig.model import Reading, Ref
from shadowmig.protocols import Store as StoreProtocol
from shadowmig.stores import SisterStore, Stream, Table
from shadowmig.testing.storm.service import COMMENTS, FIRST_OWN_ID, POSTS, STREAM, Backend

Versions = Literal["column", "native", "none"]
"""What race verdicts have to go by: a version in the data, only the stores' own tokens, or nothing."""


Role = Literal["production", "sister"]
NAMES: Final = ("db", "cache", "events")
ROLES: Final[tuple[Role, ...]] = ("production", "sister")
Make = Callable[[str, Role], StoreProtocol]
"""Makes a store of a name, for production or for the sister."""


@frozen
class Stores:
    """
    The stores of one storm.

    Attributes:
        db: Tables of comments and posts.
        cache: Comments by key.
        events: The stream.
        backend: What both services work with.
        versioned: Whether records tell versions.
        plain: Handles of their own on the same stores, of production and of the sister, by name: not what the engine
            uses.
    """

    db: SisterStore
    cache: SisterStore
    events: SisterStore
    backend: Backend
    versioned: bool
    plain: dict[str, tuple[StoreProtocol, StoreProtocol]]


class Site(Protocol):
    """Where stores are: `MemorySite` or `RealSite`."""

    name: str

    def open(self, versions: Versions, posts: Iterable[int]) -> Any:
        """
        Give empty `Stores` for as long as the ``with`` block lasts; production has the posts.

        Args:
            versions: What race verdicts have to go by.
            posts: Ids of posts.

        Raises:
            ConfigError: There are no such ``versions``.
        """
        ...


class Tokenless:
    """A store whose records have no tokens: for race verdicts, one that tells nothing."""

    def __init__(self, store: StoreProtocol) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def __repr__(self) -> str:
        return f"Tokenless({self._store!r})"

    def read(self, refs: Sequence[Ref], *, since: Any = None, timeout: float | None = None) -> Reading:
        """Read records, and take their tokens off."""
        reading = self._store.read(refs, since=since, timeout=timeout)
        return evolve(reading, records=tuple(evolve(record, token=None, version=None) for record in reading.records))


def _version(value: Any) -> Any:
    return value["version"]


@frozen
class _Shape:
    """What the stores are told about the data."""

    tables: list[Table]
    streams: list[Stream]
    version: Callable[[Any], Any] | None
    codec: Any

    @classmethod
    def of(cls, versions: Versions) -> _Shape:
        """Make it, with or without versions."""
        if versions not in get_args(Versions):
            remedy = f"Use one of: {', '.join(get_args(Versions))}."
            raise ConfigError(f"versions is {versions!r}.", remedy=remedy, field="versions", value=versions)
        from shadowmig.wire.codecs import Json

        told = versions == "column"
        column, version = ("version", _version) if told else (None, None)
        return cls(
            [Table(name, key="id", version=column) for name in (COMMENTS, POSTS)],
            [Stream(STREAM, id="event_id", payload="body", codec=Json(), version=version)],
            version,
            Json(),
        )


def _sisters(make: Make, versions: Versions) -> dict[str, SisterStore]:
    found = {}
    for name in NAMES:
        production, sister = make(name, "production"), make(name, "sister")
        if versions == "none":
            production, sister = Tokenless(production), Tokenless(sister)
        found[name] = SisterStore(name=name, production=production, sister=sister)
    return found


def _plain(make: Make) -> dict[str, tuple[StoreProtocol, StoreProtocol]]:
    return {name: (make(name, "production"), make(name, "sister")) for name in NAMES}


def _fill(backend: Backend, posts: Iterable[int]) -> None:
    with backend.transaction() as rows:
        for post in posts:
            values = {"id": post, "title": f"Post {post}", "comment_count": 0, "last_comment_at": None, "version": 1}
            rows.insert(POSTS, values)


class MemorySite:
    """Stores in the memory of this process; each storm has its own."""

    name = "memory"

    @contextmanager
    def open(self, versions: Versions, posts: Iterable[int]) -> Iterator[Stores]:
        """Do what `Site.open` does."""
        from shadowmig.stores.memory import MemorySpace, MemoryStore
        from shadowmig.testing.storm._memory import MemoryBackend

        shape = _Shape.of(versions)
        spaces = {(name, role): MemorySpace() for name in NAMES for role in ROLES}
        spaces["db", "sister"].sequences[COMMENTS] = FIRST_OWN_ID

        def make(name: str, role: Role) -> StoreProtocol:
            space = spaces[name, role]
            if name == "db":
                return MemoryStore(tables=shape.tables, space=space)
            if name == "cache":
                return MemoryStore(codec=shape.codec, version=shape.version, space=space)
            return MemoryStore(streams=shape.streams, space=space)

        sisters = _sisters(make, versions)
        backend = MemoryBackend(sisters["db"], sisters["cache"], sisters["events"])
        _fill(backend, posts)
        yield Stores(**sisters, backend=backend, versioned=versions == "column", plain=_plain(make))


class RealSite:
    """
    Postgres, Memcached and Redis, started by the first storm or by ``with``, and stopped at the end of the ``with``.

    One Postgres has production and sister as two databases, one Redis as two of its databases; of Memcached there are
    two.
    """

    name = "real"

    def __init__(self) -> None:
        self._open = ExitStack()
        self._urls: dict[tuple[str, Role], str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._urls = {}
        self._open.close()

    def _start(self) -> None:
        """
        Start the servers.

        Raises:
            ServerUnavailable: One is not installed, or does not start.
            ConfigError: The environment names one Memcached for all.
        """
        from shadowmig.testing.servers import Memcached, Postgres, Redis
        from shadowmig.testing.storm._real import databases, redis_urls

        enter = self._open.enter_context
        postgres, redis, caches = enter(Postgres()), enter(Redis()), [enter(Memcached()), enter(Memcached())]
        if caches[0].url == caches[1].url:
            raise ConfigError(
                "The storm needs two Memcached servers.",
                remedy="Unset SHADOWMIG_TEST_MEMCACHED, so that it starts its own.",
                field="SHADOWMIG_TEST_MEMCACHED",
            )
        db = enter(databases(postgres.url))
        for index, role in enumerate(ROLES):
            self._urls |= {("db", role): db[index], ("cache", role): caches[index].url}
            self._urls["events", role] = redis_urls(redis.url)[index]

    @contextmanager
    def open(self, versions: Versions, posts: Iterable[int]) -> Iterator[Stores]:
        """
        Do what `Site.open` does.

        Raises:
            ServerUnavailable: A server is not installed, or does not start.
        """
        from shadowmig.testing.storm._real import RealBackend, real_stores

        shape = _Shape.of(versions)
        if not self._urls:
            self._start()
        with real_stores(self._urls, shape.tables, shape.streams, shape.codec, shape.version) as make:
            sisters = _sisters(make, versions)
            backend = RealBackend(sisters["db"], sisters["cache"], sisters["events"])
            _fill(backend, posts)
            try:
                yield Stores(**sisters, backend=backend, versioned=versions == "column", plain=_plain(make))
            finally:
                for sister in sisters.values():
                    sister.close()
