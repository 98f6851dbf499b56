"""
Which audit events a fence looks at, and how each is judged.

A judge is given what is allowed and the event's arguments; it gives the target to be refused, or ``None`` to let it
pass.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import urlsplit

from shadowmig.wire.fence._allowed import Allowed

PROBE: Final = "shadowmig.fence.probe"
"""An event of our own, always refused, that shows whether the hook is in place."""

Judge = Callable[[Allowed, tuple[Any, ...]], str | None]


def _text(value: Any) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")


def _place(allowed: Allowed, host: Any, port: Any) -> str | None:
    name = _text(host)
    return None if allowed.place(name, port) else f"{name}:{port}"


def _address(allowed: Allowed, address: Any) -> str | None:
    if isinstance(address, tuple) and len(address) >= 2:
        return _place(allowed, address[0], address[1])
    if isinstance(address, str | bytes):
        return None if allowed.path(address) else os.fsdecode(address).replace("\0", "@")
    return type(address).__name__


def _peer(allowed: Allowed, socket: Any) -> str | None:
    """Judge what goes over a connection that is there already."""
    return _address(allowed, socket.getpeername())


def _connect(allowed: Allowed, args: tuple[Any, ...]) -> str | None:
    return _peer(allowed, args[0]) if args[1] is None else _address(allowed, args[1])


def _lookup(allowed: Allowed, args: tuple[Any, ...]) -> str | None:
    name = _text(args[0])
    if allowed.host(name):
        return None
    return f"{name}:{args[1]}" if len(args) > 1 and args[1] else name


def _reverse_lookup(allowed: Allowed, args: tuple[Any, ...]) -> str | None:
    return _lookup(allowed, args[0])


def _opened(allowed: Allowed, args: tuple[Any, ...]) -> str | None:
    return _place(allowed, args[1], args[2])


def _sent(allowed: Allowed, args: tuple[Any, ...]) -> str | None:
    return _peer(allowed, args[0].sock)


def _request(allowed: Allowed, args: tuple[Any, ...]) -> str | None:
    parts = urlsplit(_text(args[0]))
    if parts.scheme in ("file", "data"):
        return None
    port = parts.port or {"http": 80, "https": 443, "ftp": 21}.get(parts.scheme)
    return _place(allowed, parts.hostname, port)


def _program(_: Allowed, args: tuple[Any, ...]) -> str:
    return PurePath(os.fsdecode(args[0])).name


def _popen(_: Allowed, args: tuple[Any, ...]) -> str:
    command = args[0] or args[1]
    return PurePath(os.fsdecode(command if isinstance(command, str | bytes | os.PathLike) else command[0])).name


def _shell(_: Allowed, args: tuple[Any, ...]) -> str:
    words = [word for word in shlex.split(os.fsdecode(args[0])) if "=" not in word]  # not MYSQL_PWD=secret mysql
    return PurePath(words[0] if words else "").name


def _terminal(_: Allowed, args: tuple[Any, ...]) -> str:
    return PurePath(os.fsdecode(args[0][0])).name


def _signal(_: Allowed, args: tuple[Any, ...]) -> str | None:
    return f"signal {int(args[1])}" if args[1] else None  # 0 only asks whether there is such a process


def _nothing(_: Allowed, args: tuple[Any, ...]) -> str:
    return ""


def _thread(_: Allowed, args: tuple[Any, ...]) -> str:
    target = getattr(getattr(args[0], "__self__", None), "_target", args[0])
    return str(getattr(target, "__qualname__", type(target).__name__))


WATCHED: Final[Mapping[str, Judge]] = {
    PROBE: _nothing,
    **dict.fromkeys(("socket.connect", "socket.sendto", "socket.sendmsg"), _connect),
    **dict.fromkeys(("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"), _lookup),
    "socket.getnameinfo": _reverse_lookup,
    **dict.fromkeys(("http.client.connect", "smtplib.connect", "ftplib.connect", "poplib.connect"), _opened),
    **dict.fromkeys(("imaplib.open", "nntplib.connect", "telnetlib.Telnet.open"), _opened),
    **dict.fromkeys(("http.client.send", "smtplib.send", "ftplib.sendcmd", "poplib.putline"), _sent),
    **dict.fromkeys(("imaplib.send", "nntplib.putline", "telnetlib.Telnet.write"), _sent),
    "urllib.Request": _request,
    "webbrowser.open": _request,
    "subprocess.Popen": _popen,
    "os.system": _shell,
    "os.exec": _program,
    "os.posix_spawn": _program,
    "pty.spawn": _terminal,
    **dict.fromkeys(("os.fork", "os.forkpty"), _nothing),
    **dict.fromkeys(("os.kill", "os.killpg", "signal.pthread_kill"), _signal),
    **dict.fromkeys(("_thread.start_new_thread", "_thread.start_joinable_thread"), _thread),
}
