"""
The wrapper around a handler: the only code of ours on the path of a call that is not sampled.

It is one draw away from the handler itself. What the draw is compared with and which function is called are cells that
`Switch` sets when stage or sampler change, so an ordinary call asks nobody.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from shadowmig.engine.job import Job
from shadowmig.engine.sampling import draw

Begin = Callable[[tuple[Any, ...], dict[str, Any]], Job | None]


Switch = Callable[[float, Callable[..., Any]], None]
"""Sets the share of calls that are shown to the engine, and what an unsampled call runs."""


def wrap_sync(handler: Callable[..., Any], begin: Begin) -> tuple[Callable[..., Any], Switch]:
    """Wrap a sync handler; `begin` is asked about the calls drawn."""
    rate = 0.0
    served = handler
    toss = draw

    @functools.wraps(handler)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if toss() < rate:
            job = begin(args, kwargs)
            if job is not None:
                try:
                    value = job.run(*args, **kwargs)
                except BaseException as error:
                    job.raised(error)
                    raise
                job.returned(value)
                return value
        return served(*args, **kwargs)

    def switch(new_rate: float, new_served: Callable[..., Any]) -> None:
        nonlocal rate, served
        rate, served = new_rate, new_served

    return wrapper, switch


def wrap_async(handler: Callable[..., Any], begin: Begin) -> tuple[Callable[..., Any], Switch]:
    """Wrap an async handler; the same, with ``await``."""
    rate = 0.0
    served = handler
    toss = draw

    @functools.wraps(handler)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        if toss() < rate:
            job = begin(args, kwargs)
            if job is not None:
                if job.prepare is not None:
                    await job.prepare()
                try:
                    value = await job.run(*args, **kwargs)
                except BaseException as error:
                    job.raised(error)
                    if job.settle is not None:
                        await job.settle()
                    raise
                job.returned(value)
                if job.settle is not None:
                    await job.settle()
                return value
        return await served(*args, **kwargs)

    def switch(new_rate: float, new_served: Callable[..., Any]) -> None:
        nonlocal rate, served
        rate, served = new_rate, new_served

    return wrapper, switch
