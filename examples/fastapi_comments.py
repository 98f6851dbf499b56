"""
A FastAPI service whose comments get a new implementation.

``get_comment`` is async on both sides: the candidate runs as a task on the service's own event loop, so it can use the
same async clients. ``count_comments`` is sync on both sides: FastAPI runs the endpoint in a thread, and the candidate
runs in a thread of shadowmig's.

Run it with ``python examples/fastapi_comments.py``. An httpx client on FastAPI's own ASGI app stands for the users. The
new implementation has two bugs, one for each endpoint, and both are found.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from shadowmig import Migration

migration = Migration("comments", label="rewrite 0.3")


# docs begin lifespan
@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Let the comparisons under way come to their end while the event loop still runs."""
    yield
    await migration.aclose()


app = FastAPI(lifespan=lifespan)
# docs end


class Comment(BaseModel):
    """What users get."""

    id: int
    author: str | None
    body: str


STORED = {
    1: ("ada", "First!", False),
    2: ("bob", "Buy my pills", True),
    3: ("ada", "Second.", False),
}


# docs begin async
async def new_get_comment(comment_id: int) -> Comment:
    """Ask the new service. Its bug: it tells the author of a deleted comment."""
    await asyncio.sleep(0)  # where it would wait for the network
    author, body, _deleted = STORED[comment_id]
    return Comment(id=comment_id, author=author, body=body)


@migration.read(candidate=new_get_comment)
async def get_comment(comment_id: int) -> Comment:
    """Read a comment."""
    author, body, deleted = STORED[comment_id]
    return Comment(id=comment_id, author=None if deleted else author, body=body)


@app.get("/comments/{comment_id}")
async def show_comment(comment_id: int) -> Comment:
    """Answer the user; the function that is compared knows nothing of requests."""
    if comment_id not in STORED:
        raise HTTPException(404)
    return await get_comment(comment_id)
    # docs end


# docs begin sync
def new_count_comments(author: str) -> dict[str, int]:
    """Ask the new service. Its bug: it counts deleted comments."""
    return {"count": sum(name == author for name, _, _ in STORED.values())}


@app.get("/authors/{author}/comments")
@migration.read(candidate=new_count_comments)
def count_comments(author: str) -> dict[str, int]:
    """Count an author's comments; the endpoint takes and returns plain data, so it is compared itself."""
    return {"count": sum(name == author and not deleted for name, _, deleted in STORED.values())}
    # docs end


async def main() -> None:
    """Make requests as users would, then print what was found."""
    transport = httpx.ASGITransport(app)
    async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        for path in ("/comments/1", "/comments/2", "/comments/9", "/authors/ada/comments", "/authors/bob/comments"):
            answer = await client.get(path)
            print(f"{path}: {answer.status_code} {answer.json()}")
        await migration.aflush()
        for finding in migration.findings():
            example = finding.examples[0]
            print(f"found {finding.experiment} {finding.path}: {example.control} became {example.candidate}")


if __name__ == "__main__":
    asyncio.run(main())
