"""
The kit for people who test their own migration.

`shadowmig.testing.never_harm` tries comparators, samplers and sinks; `StoreContract` tries stores;
`shadowmig.testing.servers` starts real servers. None of them is loaded before it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shadowmig.testing.store_contract import StoreContract as StoreContract

__all__ = ["StoreContract"]


def __getattr__(name: str) -> Any:
    if name != "StoreContract":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from shadowmig.testing.store_contract import StoreContract

    globals()[name] = StoreContract
    return StoreContract


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
