"""The addresses that a fence lets through."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterable
from contextvars import Context
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from shadowmig.errors import ConfigError

Address: TypeAlias = str | tuple[str, int]


class Allowed:
    """
    Hosts, ports and unix sockets.

    Args:
        given: See `shadowmig.wire.fence.Fence`.

    Raises:
        ConfigError: An address is none.
    """

    def __init__(self, given: Address | Iterable[Address]) -> None:
        single = isinstance(given, str) or (isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], int))
        if not isinstance(given, Iterable):
            raise ConfigError(
                f"allow is a {type(given).__name__}.", remedy="Use an address, or several.", field="allow"
            )
        self._ports: dict[str, set[int | None]] = {}
        self._paths: set[str] = set()
        for number, address in enumerate([given] if single else list(given)):
            try:
                host, port = _parsed(address)
            except ValueError:
                raise ConfigError(
                    f"allow[{number}] is no address.",
                    remedy='Use "host", "host:port", a URL, or the path of a unix socket.',
                    field="allow",
                ) from None
            if host.startswith("/"):
                self._paths.add(host)
            else:
                self._ports.setdefault(host, set()).add(port)

    def host(self, host: str) -> bool:
        """Tell whether a host may be looked up: one that is allowed with any port, or this machine itself."""
        name = _plain(host)
        return name in self._ports or name in ("", _plain(socket.gethostname())) or self._resolves(name, None)

    def place(self, host: str, port: Any) -> bool:
        """Tell whether an address may be connected to."""
        name = _plain(host)
        return self._fits(name, port) or self._resolves(name, port)

    def path(self, path: str | bytes) -> bool:
        """Tell whether a unix socket may be connected to; one without a name is half of a pair of this process."""
        text = os.fsdecode(path)
        return not text or text in self._paths

    def _fits(self, name: str, port: Any) -> bool:
        ports = self._ports.get(name, ())
        return None in ports or port in ports

    def _resolves(self, address: str, port: Any) -> bool:
        """Whether one of the names allowed has this address now; asked only where an address is not known."""
        if not _is_number(address):
            return False
        for name, ports in self._ports.items():
            if _is_number(name) or not (port is None or None in ports or port in ports):
                continue
            try:
                # In an empty context, which has no fence.
                found = Context().run(socket.getaddrinfo, name, None)
            except OSError:
                continue
            if any(_plain(str(each[4][0])) == address for each in found):
                return True
        return False


def _parsed(address: Any) -> tuple[str, int | None]:
    if isinstance(address, tuple):
        host, port = address
        if not isinstance(host, str) or not host or type(port) is not int or not 0 < port < _PORTS:
            raise ValueError
        return _plain(host), port
    if not isinstance(address, str) or not address or address != address.strip():
        raise ValueError
    if address.startswith("/"):
        return address, None
    if "://" not in address:
        if _is_number(address):  # of version 6, its colons lead to no port
            return _plain(address), None
        address = f"//{address}"
    elif address.startswith("unix:"):
        return urlsplit(address).path or "/", None
    parts = urlsplit(address)
    if not parts.hostname or (address.startswith("//") and (parts.path or parts.query)):
        raise ValueError
    return _plain(parts.hostname), parts.port


def _plain(host: str) -> str:
    return host.lower().rstrip(".").partition("%")[0]


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


_PORTS: Final = 2**16
