"""
`HttpCodec`: asks another program over HTTP.

**When:** a service that runs already can be given an address at which it encodes and decodes.
**Example:** ``HttpCodec("http://127.0.0.1:8080/codec/json")``
**Units:** ``timeout`` is seconds, ``batch`` items, ``max_reply`` bytes.
**When it is down** (not reached, slow, another status than 200, nonsense): as with
`~shadowmig.wire.codecs.process.ProcessCodec`, the items at which it fails are `CodecUnavailable`, the others are asked
about once more, and a server that keeps failing is left alone for a while.

The body of request and reply is that of the same protocol; a request is a POST. Redirects are not followed.
"""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

from attrs import field, frozen

from shadowmig.wire.codecs._flags import check_flags, check_limit
from shadowmig.wire.codecs._http_exchange import Connection
from shadowmig.wire.codecs._process_asking import Asking, check_count, refuse, timeout_of
from shadowmig.wire.codecs._process_pool import Pool
from shadowmig.wire.tagged._protocol import PROTOCOL
from shadowmig.wire.tagged._reading import is_text

_REMEDY = "Use http://host:port/path or https://host/path."


@frozen(eq=False)
class HttpCodec(Asking):
    """
    A server that encodes and decodes.

    It is connected to at the first question; connections are kept, and closed by `close`, at the end of a ``with``
    block, or when the codec is forgotten. Any number of threads may ask at once. A forked child has connections of
    its own.

    Args:
        url: The address. User and password in it are sent as basic authentication, and never shown.
        timeout: Seconds for one request, or a timedelta, connecting included. Of the items of a request that fails,
            each is asked about once more, by itself.
        batch: The most items of one request; more are split.
        connections: How many requests may be under way at the same time.
        max_reply: The most bytes of one reply. A hostile reply may take up to 32 times as much memory.
        flags: Client flags of encoded values where the server gives none.
        headers: More headers, such as ``Authorization``; never shown.
        context: How https is checked; by default against the system's certificates.

    Raises:
        ConfigError: An option is wrong.
    """

    url: str = field(repr=False)
    timeout: float = field(default=10.0, kw_only=True, converter=timeout_of)
    batch: int = field(default=256, kw_only=True, validator=check_count)
    connections: int = field(default=1, kw_only=True, validator=check_count)
    max_reply: int = field(default=16 * 1024 * 1024, kw_only=True, validator=check_limit)
    flags: int = field(default=0, kw_only=True, validator=check_flags)
    headers: Mapping[str, str] = field(factory=dict, kw_only=True, repr=False)
    context: ssl.SSLContext | None = field(default=None, kw_only=True, repr=False)
    _pool: Pool = field(init=False, repr=False)
    _shown: str = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        parts, port = _parts(self.url)
        secure = parts.scheme == "https"
        if self.context is not None and not (secure and isinstance(self.context, ssl.SSLContext)):
            refuse("context", self.context, "Give an ssl.SSLContext, with an https URL.")
        host = parts.hostname or ""
        shown = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}{parts.path}"
        options: dict[str, Any] = {
            "host": host,
            "port": port,
            "shown": shown,
            "path": (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            "headers": _headers(parts, self.headers),
            "context": (self.context or ssl.create_default_context()) if secure else None,
            "timeout": self.timeout,
            "max_reply": self.max_reply,
            "flags": self.flags,
        }
        object.__setattr__(self, "_shown", shown)
        object.__setattr__(self, "_pool", Pool(lambda: Connection(**options), self.connections, self.batch))

    def __repr__(self) -> str:
        return f"HttpCodec({self._shown!r})"


def _parts(url: Any) -> tuple[SplitResult, int]:
    # The URL is not shown: it may hold a password.
    if not isinstance(url, str) or not is_text(url):
        refuse("url", type(url).__name__, _REMEDY, shown="no text")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        refuse("url", "(hidden)", _REMEDY, shown="no URL")
    whole = f"{parts.path}?{parts.query}"
    if parts.scheme not in ("http", "https") or not parts.hostname or not (whole.isascii() and whole.isprintable()):
        refuse("url", "(hidden)", _REMEDY, shown="no URL of http or https")
    if " " in whole or port == 0 or " " in parts.hostname or not parts.hostname.isprintable():
        refuse("url", "(hidden)", _REMEDY, shown="no valid URL")
    return parts, port or {"http": 80, "https": 443}[parts.scheme]


def _headers(parts: SplitResult, more: Mapping[str, str]) -> dict[str, str]:
    made = {"Content-Type": "application/json", "Accept": "application/json", "Shadowmig-Protocol": str(PROTOCOL)}
    if parts.username is not None:
        both = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        made["Authorization"] = f"Basic {base64.b64encode(both.encode()).decode()}"
    if not isinstance(more, Mapping) or not all(map(_is_header, more.items())):
        refuse("headers", "(hidden)", "Use a dict of names and texts in ASCII.", shown="no headers")
    given = {name.lower() for name in more}
    return {name: value for name, value in made.items() if name.lower() not in given} | dict(more)


def _is_header(header: tuple[Any, Any]) -> bool:
    name, value = header
    return isinstance(name, str) and isinstance(value, str) and bool(_HEADER.fullmatch(f"{name}: {value}"))


_HEADER: Final = re.compile(r"[!#-'*+.0-9A-Z^-z|~-]+: [ -~]*")
"""A header: a name of those letters that HTTP allows, and ASCII."""
