"""A candidate that is a coroutine raises what asyncio lets out of a task and into its loop."""

import asyncio
import sys

from _common import books, migration, read, say

from shadowmig.engine import Tasks, Threads

owner = migration(runner={"threads": Threads, "tasks": Tasks}[sys.argv[1]]())
kinds = [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, StopAsyncIteration]


async def handler(x):
    return x


async def candidate(x):
    await asyncio.sleep(0)
    raise kinds[x]("from the candidate")


get = read(owner, handler, candidate)


async def main():
    values = [await get(number) for number in range(len(kinds))]
    return values, await owner.aflush(20)


values, flushed = asyncio.run(main())
say(values=values, flushed=flushed, books=books(owner), closed=owner.close(10))
