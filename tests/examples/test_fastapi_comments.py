"""The FastAPI example, through httpx on the ASGI app, as FastAPI's guide tests async code."""

import asyncio

import httpx


async def ask(module, *paths):
    """Ask as users do, while the application lives; returns status and data of each answer."""
    transport = httpx.ASGITransport(module.app)
    async with module.lifespan(module.app), httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        answers = [await client.get(path) for path in paths]
        assert await module.migration.aflush(30)
    return [(answer.status_code, answer.json()) for answer in answers]


def test_fastapi_users_get_the_old_answers(example, found):
    """Users get control's answers, the planted bug of each endpoint becomes a finding, and nothing else does."""
    module = example("fastapi_comments")
    answers = asyncio.run(
        ask(module, "/comments/1", "/comments/2", "/comments/9", "/authors/ada/comments", "/authors/bob/comments")
    )
    assert answers == [
        (200, {"id": 1, "author": "ada", "body": "First!"}),
        (200, {"id": 2, "author": None, "body": "Buy my pills"}),
        (404, {"detail": "Not Found"}),
        (200, {"count": 2}),
        (200, {"count": 0}),
    ]
    findings = {(finding.experiment, finding.path, finding.kind) for finding in module.migration.findings()}
    assert findings == {("get_comment", "$.author", "type"), ("count_comments", "$.count", "changed")}
    for summary in module.migration.stats().experiments.values():
        assert {verdict.value: count for verdict, count in summary.verdicts.items() if count} == {
            "match": 1,
            "mismatch": 1,
        }
        assert summary.errors == {}


def test_fastapi_endpoint_keeps_its_signature(example):
    """FastAPI still sees the parameters of a decorated endpoint: it refuses what it would refuse without it."""
    module = example("fastapi_comments")
    parameters = module.app.openapi()["paths"]["/authors/{author}/comments"]["get"]["parameters"]
    assert [parameter["name"] for parameter in parameters] == ["author"]


def test_fastapi_main_says_what_was_found(example, capsys):
    """The program prints the answers and the findings, and ends."""
    asyncio.run(example("fastapi_comments").main())
    printed = capsys.readouterr().out
    assert "/comments/2: 200 {'id': 2, 'author': None" in printed
    assert "found get_comment $.author: None became 'bob'" in printed
    assert printed.count("found ") == 2
