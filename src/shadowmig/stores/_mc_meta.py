"""
What is said to a Memcached server: each request, the bytes that ask it, and the one reply it gets.

Records are read with the meta command ``mg``, which gives a record's flags, CAS, time to live and value at once, and
with its flag ``u`` leaves no trace on the record: its place in the LRU, its time of access and its mark of having been
fetched stay as they were. The server counts the read in its statistics. Every request has exactly one reply, in order,
so nothing is quiet and nothing can be lost; a number that the server sends back shows that a reply is the one awaited.

Danger: a server that takes a storage command for malformed reads the value behind it as further commands. So every
part of the line is checked before it is sent.
"""

from __future__ import annotations

import base64
import re
from typing import Any, Final

from attrs import define

from shadowmig.model import Ref
from shadowmig.stores._mc_socket import Connection, Garbled

READS: Final = re.compile(
    rb"(mg [^\x00-\x20\x7f]{1,250} v f t c u O\d{1,19}( b)?|gets [^\x00-\x20\x7f]{1,250}|version|stats( settings)?)\r\n"
)
"""All that may be sent to a server that must not be written to."""

_PLAIN: Final = re.compile(rb"[^\x00-\x20\x7f]{1,250}")
_LONGEST_KEY: Final = 250
_FIRST_STABLE: Final = (1, 6, 10)  # older servers speak another dialect of the meta commands
_FOUND: Final = re.compile(rb"VA (\d{1,10}) f(\d{1,10}) t(-1|\d{1,10}) c(\d{1,20}) O(\d{1,19})((?: [!-~]+)*)")
_VERSION: Final = re.compile(rb"VERSION (\d{1,9})\.(\d{1,9})\.(\d{1,9})\b.*", re.DOTALL)


class Refused(Exception):
    """
    The server said no.

    Args:
        text: Its own words.
        counted: Whether that was the reply to this request and nothing else, so that the next reply is the next one's.

    Attributes:
        ref: What it was about.
    """

    def __init__(self, text: str, *, counted: bool = False) -> None:
        super().__init__(text)
        self.counted = counted
        self.ref: Ref | None = None


class NoMeta(Refused):
    """The server must not be asked by meta commands: it has none, or, with a text, it would do harm."""


@define
class Item:
    """What the server holds under a key; ``meta`` as in a `Record`."""

    data: bytes
    cas: int
    meta: dict[str, Any]


@define
class Key:
    """
    A key as it stands in a command.

    Attributes:
        word: The key itself, or its base64 form.
        coded: Whether it is the base64 form, which only meta commands understand.
    """

    word: bytes
    coded: bool

    @classmethod
    def of(cls, name: bytes) -> Key | None:
        """Give the form of a key, or ``None`` if it has none that fits."""
        if _PLAIN.fullmatch(name):
            return cls(name, coded=False)
        word = base64.b64encode(name)
        return cls(word, coded=True) if 0 < len(word) <= _LONGEST_KEY else None


@define
class Request:
    """Something to be asked; ``ref`` is the record that it is about, if it is about one."""

    ref: Ref | None = None

    def encode(self, tag: int, *, meta: bool) -> bytes:
        """Give the bytes for a server with or without meta commands."""
        raise NotImplementedError

    def take(self, connection: Connection, tag: int, *, meta: bool) -> Any:
        """Take the reply off a connection."""
        raise NotImplementedError


_NO_KEY: Final = Key(b"", coded=False)


@define
class _Keyed(Request):
    key: Key = _NO_KEY

    def _word(self, *, meta: bool) -> bytes:
        if self.key.coded and not meta:
            raise Refused("a key with spaces or control characters needs a server with meta commands")
        return self.key.word


@define
class Get(_Keyed):
    """Read a record: an `Item`, or ``None``."""

    def encode(self, tag: int, *, meta: bool) -> bytes:
        word = self._word(meta=meta)
        if not meta:
            return b"gets %b\r\n" % word
        return (b"mg %b v f t c u O%d b\r\n" if self.key.coded else b"mg %b v f t c u O%d\r\n") % (word, tag)

    def take(self, connection: Connection, tag: int, *, meta: bool) -> Item | None:
        line = connection.line()
        if meta:
            return _meta_item(connection, line, tag)
        first, *rest = line.split(b" ")
        if first == b"END" and not rest:
            return None
        if first != b"VALUE" or len(rest) not in (3, 4) or rest[0] != self.key.word:
            raise _wrong(first, rest)
        flags, size, *cas = [_number(word) for word in rest[1:]]
        data = connection.block(size)
        if connection.line() != b"END":
            raise Garbled
        return Item(data, cas[0] if cas else 0, {"flags": flags})


@define
class Put(_Keyed):
    """Write a record; ``expires`` is what the protocol calls its expiration time."""

    data: bytes = b""
    flags: int = 0
    expires: int = 0

    def encode(self, tag: int, *, meta: bool) -> bytes:
        word = self._word(meta=meta)
        if self.key.coded:
            return b"ms %b %d b F%d T%d\r\n%b\r\n" % (word, len(self.data), self.flags, self.expires, self.data)
        return b"set %b %d %d %d\r\n%b\r\n" % (word, self.flags, self.expires, len(self.data), self.data)

    def take(self, connection: Connection, tag: int, *, meta: bool) -> None:
        _expect(connection, b"HD" if self.key.coded else b"STORED")


@define
class Remove(_Keyed):
    """Delete a record that need not be there."""

    def encode(self, tag: int, *, meta: bool) -> bytes:
        word = self._word(meta=meta)
        return b"md %b b\r\n" % word if self.key.coded else b"delete %b\r\n" % word

    def take(self, connection: Connection, tag: int, *, meta: bool) -> None:
        _expect(connection, *((b"HD", b"NF") if self.key.coded else (b"DELETED", b"NOT_FOUND")))


@define
class Flush(Request):
    """Delete all records."""

    def encode(self, tag: int, *, meta: bool) -> bytes:
        return b"flush_all\r\n"

    def take(self, connection: Connection, tag: int, *, meta: bool) -> None:
        _expect(connection, b"OK")


@define
class Stats(Request):
    """Ask for statistics, as words by name; ``which`` is empty or ``settings``."""

    which: bytes = b""

    def encode(self, tag: int, *, meta: bool) -> bytes:
        return b"stats %b\r\n" % self.which if self.which else b"stats\r\n"

    def take(self, connection: Connection, tag: int, *, meta: bool) -> dict[bytes, bytes]:
        found = {}
        while (line := connection.line()) != b"END":
            first, *rest = line.split(b" ", 2)
            if first != b"STAT" or not rest:
                raise _wrong(first, rest)
            found[rest[0]] = rest[1] if len(rest) > 1 else b""
        return found


def knows_meta(connection: Connection, deadline: float) -> bool:
    """
    Ask a server for its version.

    Returns:
        Whether it is one whose meta commands are as documented since 1.6.10. A proxy that shows a version of its own
        counts as one without.
    """
    connection.send(b"version\r\n", deadline)
    line = connection.line()
    found = _VERSION.fullmatch(line)
    if found:
        return tuple(int(number) for number in found.groups()) >= _FIRST_STABLE
    first, *rest = line.split(b" ")
    if first not in (b"VERSION", b"ERROR"):
        raise _wrong(first, rest)
    return False


def _meta_item(connection: Connection, line: bytes, tag: int) -> Item | None:
    found = _FOUND.fullmatch(line)
    if found is None:
        # Newer servers show the number also where there is no record.
        if line in (b"EN", b"EN O%d" % tag):
            return None
        if line == b"ERROR":
            raise NoMeta("")
        first, *rest = line.split(b" ")
        raise _wrong(first, rest)
    size, flags, ttl, cas, shown, more = found.groups()
    if int(shown) != tag:
        raise Garbled
    data = connection.block(int(size))
    if more and b"W" in more.split(b" "):
        raise NoMeta("it is marked as stale, and reading it by a meta command takes the right to renew it")
    return Item(data, int(cas), {"flags": int(flags), "ttl": None if ttl == b"-1" else int(ttl)})


def _expect(connection: Connection, *good: bytes) -> None:
    line = connection.line()
    if line not in good:
        first, *rest = line.split(b" ")
        raise _wrong(first, rest)


def _number(word: bytes) -> int:
    if not word.isdigit() or len(word) > 20:
        raise Garbled
    return int(word)


def _wrong(first: bytes, rest: list[bytes]) -> Exception:
    """Tell the server's own errors from what it can never have meant."""
    if first not in (b"ERROR", b"CLIENT_ERROR", b"SERVER_ERROR"):
        return Garbled()
    text = b" ".join([first, *rest])[:200].decode("ascii", "backslashreplace")
    # After the other two, parts of the request may have been taken for further ones.
    return Refused(text, counted=first == b"SERVER_ERROR")
