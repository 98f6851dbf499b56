"""Text in the formats that JSON Schema and OpenAPI name."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from shadowmig.wire.strategies import _leaves as leaves
from shadowmig.wire.strategies import _times as clocks
from shadowmig.wire.strategies._nodes import Changed, Choice, Node, Union
from shadowmig.wire.strategies._options import Options
from shadowmig.wire.strategies._source import Source
from shadowmig.wire.values import Instant

_LEAP_SECONDS = ("1990-12-31T23:59:60Z", "2016-12-31T23:59:60.5Z")

_DURATIONS = ("PT0S", "P1D", "PT1S", "PT36H", "P1Y2M3DT4H5M6S", "P4W", "PT1M", "P1M")

_MAILS = ("a@example.org", "A.b+c@Example.org", "x@a.b.example.com", "o'neil@example.org")

_ADDRESSES = {
    "ipv4": ("127.0.0.1", "0.0.0.0", "255.255.255.255", "192.0.2.1"),  # noqa: S104 - nothing is bound to it
    "ipv6": ("::1", "::", "2001:db8::1", "2001:DB8:0:0:0:0:0:1", "::ffff:192.0.2.1"),
    "hostname": ("example.org", "a", "EXAMPLE.org", "xn--bcher-kva.example"),
    "uri": (
        *("http://example.org", "https://example.org/?a=1&b=2#c", "HTTP://Example.org/%7Ea", "urn:isbn:0451450523"),
        *("http://[2001:db8::1]:80/", "mailto:a@example.org"),
    ),
    "email": _MAILS,
    "duration": _DURATIONS,
}


def _moments(options: Options) -> Node:
    node = Changed(clocks.times(zones=options.zones, nanos=True), _moment)
    return Union([node], rare=Choice(_LEAP_SECONDS))


def _moment(value: Any, source: Source) -> str:
    nanos = value.nanos if isinstance(value, Instant) else 0
    at: datetime = value.at if isinstance(value, Instant) else value
    offset = at.utcoffset() or timedelta(0)
    if offset % timedelta(minutes=1):
        at, offset = at.astimezone(UTC), timedelta(0)
    text = at.replace(tzinfo=None).isoformat(timespec="seconds")
    digits = f"{at.microsecond:06d}{nanos:03d}".rstrip("0")
    if source.edgy():
        digits = digits.ljust(source.pick((3, 6, 9)), "0")
    if digits:
        text += f".{digits}"
    if not offset:
        return text + (source.pick(("+00:00", "-00:00")) if source.edgy() else "Z")
    minutes = abs(offset) // timedelta(minutes=1)
    return f"{text}{'-' if offset < timedelta(0) else '+'}{minutes // 60:02d}:{minutes % 60:02d}"


def _cased(value: Any, source: Source) -> str:
    text = str(value)
    return text.upper() if source.edgy() else text


def _encoded(data: bytes, source: Source) -> str:
    return base64.b64encode(data).decode("ascii")


def _listed(options: tuple[str, ...]) -> Callable[[Options], Node]:
    return lambda _: Choice(options)


FORMATS: Mapping[str, Callable[[Options], Node]] = {
    "date-time": _moments,
    "date": lambda _: Changed(clocks.dates(), lambda value, _source: value.isoformat()),
    "time": lambda _: Changed(clocks.clocks(), lambda value, _source: f"{value.isoformat()}Z"),
    "uuid": lambda _: Changed(leaves.uuids(), _cased),
    "byte": lambda options: Changed(leaves.binaries(longest=options.longest), _encoded),
    **{name: _listed(options) for name, options in _ADDRESSES.items()},
}
"""By name; text of other formats is drawn as any other text."""
