"""The Django example, through Django's own test client."""

import pytest


@pytest.fixture
def module(example):
    """The example, once: Django is configured only once in a process."""
    module = example("django_comments")
    yield module
    from django.db import connections

    assert module.migration.close(), "the comparisons did not end in time"
    connections.close_all()
    module.folder.cleanup()


def test_django_users_get_the_old_answers(module, found, capsys):
    """Users get control's answers, the two planted bugs become findings, nothing else does, and the program says so."""
    from django.test import Client

    module.fill()
    client = Client()
    assert client.get("/comments/1").json() == {"id": 1, "author": "ada", "body": "First!"}
    assert client.get("/comments/2").json() == {"id": 2, "author": None, "body": "Buy my pills"}
    assert client.get("/comments/9").status_code == 404
    assert client.get("/authors/ada/comments").json() == {"name": "ada", "comments": 1}
    assert client.get("/authors/bob/comments").json() == {"name": "bob", "comments": 0}

    findings, verdicts = found(module.migration)
    assert findings == {("get_comment", "$.author", "type"), ("show_author", "$.data.comments", "changed")}
    assert verdicts == {
        "get_comment": {"match": 2, "mismatch": 1},
        "show_author": {"match": 1, "mismatch": 1},
    }
