"""
Prove on real traffic that a new implementation does what the old one does, before any user depends on it.

The front door: it lists names and loads each at first use, so that importing it costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers know the name; importing typing would cost more than all the rest
if TYPE_CHECKING:
    from shadowmig.compare import deep as deep
    from shadowmig.compare import exact as exact
    from shadowmig.compare import structural as structural
    from shadowmig.engine.sampling import always as always
    from shadowmig.engine.sampling import capped as capped
    from shadowmig.engine.sampling import fraction as fraction
    from shadowmig.engine.sampling import never as never
    from shadowmig.engine.sampling import sticky as sticky
    from shadowmig.errors import ShadowmigError as ShadowmigError
    from shadowmig.migration import Migration as Migration
    from shadowmig.model import Call as Call
    from shadowmig.model import Comparison as Comparison
    from shadowmig.model import Difference as Difference
    from shadowmig.model import Finding as Finding
    from shadowmig.model import Observation as Observation
    from shadowmig.model import Side as Side
    from shadowmig.model import Stage as Stage
    from shadowmig.model import Verdict as Verdict
    from shadowmig.stores.sister import SisterStore as SisterStore
    from shadowmig.wire.roundtrip import RoundTrip as RoundTrip

_HOMES = {
    "shadowmig.compare": ("deep", "exact", "structural"),
    "shadowmig.engine.sampling": ("always", "capped", "fraction", "never", "sticky"),
    "shadowmig.errors": ("ShadowmigError",),
    "shadowmig.migration": ("Migration",),
    "shadowmig.model": ("Call", "Comparison", "Difference", "Finding", "Observation", "Side", "Stage", "Verdict"),
    "shadowmig.stores.sister": ("SisterStore",),
    "shadowmig.wire.roundtrip": ("RoundTrip",),
}
_home = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Call",
    "Comparison",
    "Difference",
    "Finding",
    "Migration",
    "Observation",
    "RoundTrip",
    "ShadowmigError",
    "Side",
    "SisterStore",
    "Stage",
    "Verdict",
    "always",
    "capped",
    "deep",
    "exact",
    "fraction",
    "never",
    "sticky",
    "structural",
]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _home:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_home[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
