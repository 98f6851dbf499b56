"""
The kit for people who test their own migration.

`shadowmig.testing.never_harm` tries comparators, samplers and sinks; `StoreContract` tries stores;
`shadowmig.testing.servers` starts real servers. None of them is loaded before it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shadowmig.lazily import front_door

if TYPE_CHECKING:
    from shadowmig.testing.store_contract import StoreContract as StoreContract

__all__ = ["StoreContract"]

__getattr__, __dir__ = front_door(globals(), {"StoreContract": "store_contract"})
